"""Networks are measured if nothing better is known, and what a busy machine found is a bound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from floodrunner.contract.survey import Cost, Network, Report, Speeds, Work
from floodrunner.runner import machine
from floodrunner.runner.engines import local
from floodrunner.runner.engines.base import Engine
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options
from floodrunner.runner.survey import ask, learning, needs, speeds
from floodrunner.runner.survey.before import Before
from floodrunner.runner.survey.speeds import MEASURED, RUN, Speed
from floodrunner.runner.workdir.events import Advance
from floodrunner.runner.workdir.progress import Progress

PIPELINES = Path(__file__).resolve().parents[3] / "pipelines"
NETWORK = Network(kind="unet", settings={}, shape=(4, 64, 64), trains=True)
WORK = Work(least=100, most=100, unit="steps", speed="s", network=NETWORK)


class Measurement:
    """Stands in for the measuring stage: each network makes 8 calls a second."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Network]] = []
        self.hurried: tuple[str, ...] = ()

    def __call__(self, networks: Mapping[str, Network], engine: Engine, root: Path, gpu: bool) -> Speeds:
        self.asked.append(networks)
        return Speeds(speeds=dict.fromkeys(networks, 8.0), hurried=self.hurried)


@pytest.fixture
def measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measurement:
    made = Measurement()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ask, "speeds", made)
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr(machine, "is_busy", lambda: False)
    return made


@pytest.fixture
def before(tmp_path: Path, measurement: Measurement) -> Before:
    read = spec.load(PIPELINES / "unet-quickstart.yaml")
    planned = plan.make(read, registry.scan(), tmp_path / "run", Options())
    report = Report(costs={"train": Cost(memory=1, disk=1, work=WORK)})
    return Before(planned, "local", local, tmp_path, ["train"], report)


def test_a_processor_is_measured_with_a_batch_of_one(before: Before, measurement: Measurement) -> None:
    said: list[str] = []
    (found,) = learning.measure(before, said.append).values()
    assert found == Speed(rate=2.0, how=MEASURED, at_least=False)  # a step is a batch of four
    assert measurement.asked[0]["s"].shape == (1, 64, 64)
    assert said == ["measuring the speed of the network, at most 60 s ..."]
    assert list(speeds.known().values()) == [found]


def test_a_gpu_is_measured_with_the_whole_batch(
    before: Before, measurement: Measurement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["a GPU"])
    monkeypatch.setattr(local, "no_gpu", lambda: "")
    (found,) = learning.measure(before, print).items()
    assert found[0].endswith(" a GPU: s")
    assert found[1].rate == 8.0
    assert measurement.asked[0]["s"].shape == (4, 64, 64)


def test_only_what_an_idle_machine_found_is_not_measured_again(
    before: Before, measurement: Measurement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "is_busy", lambda: True)
    assert [speed.at_least for speed in learning.measure(before, print).values()] == [True]
    assert learning.measure(before, print) == {}  # a busy machine would find no better speed
    monkeypatch.setattr(machine, "is_busy", lambda: False)
    assert [speed.at_least for speed in learning.measure(before, print).values()] == [False]
    assert learning.measure(before, print) == {}
    assert len(measurement.asked) == 2


def test_a_first_call_alone_is_a_bound(before: Before, measurement: Measurement) -> None:
    measurement.hurried = ("s",)
    assert [speed.at_least for speed in learning.measure(before, print).values()] == [True]


@pytest.mark.parametrize("busy", [True, False])
def test_a_finished_step_says_whether_the_machine_was_busy(
    before: Before, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "is_busy", lambda: busy)
    progress = Progress()
    for time, done in ((0.0, 0), (10.0, 100)):
        progress.take(Advance(event="progress", time=time, done=done, total=100, unit="steps"))
    learning.learn(before, "train", progress, 20)
    assert list(speeds.known().values()) == [Speed(rate=10, how=RUN, at_least=busy)]
    (train,) = needs.estimates(before)
    assert train.seconds is not None
    assert train.seconds[0] > 10
