"""The file of speeds: whatever is in it, and whoever writes to it, it stops nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from floodrunner.contract.survey import Network, Work
from floodrunner.runner.survey import speeds
from floodrunner.runner.survey.speeds import MEASURED, RUN, Speed
from floodrunner.runner.workdir.events import Advance, Metric
from floodrunner.runner.workdir.progress import Progress

NETWORK = Network(kind="ffn", settings={}, shape=(1, 3, 3, 3), trains=True)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "floodrunner" / "speeds.json"


def speed(rate: float, at_least: bool = False) -> Speed:
    return Speed(rate=rate, how=RUN, at_least=at_least)


def work(**fields: object) -> Work:
    return Work(**{"least": 10.0, "most": 10.0, "unit": "steps", "speed": "s"} | fields)  # type: ignore[arg-type]


def test_speeds_are_kept_by_device(file: Path) -> None:
    on_cpu, on_gpu = speed(1.5), Speed(rate=30.0, how=MEASURED, at_least=True)
    speeds.keep("cpu", "a", on_cpu)
    speeds.keep("gpu", "a", on_gpu)
    assert speeds.known() == {"cpu: a": on_cpu, "gpu: a": on_gpu}
    assert [each.name for each in file.parent.iterdir()] == ["speeds.json"]


def test_what_a_busy_machine_found_does_not_replace_what_an_idle_one_found() -> None:
    speeds.keep("cpu", "a", speed(1.0, at_least=True))
    speeds.keep("cpu", "a", speed(0.5, at_least=True))
    assert speeds.known()["cpu: a"] == speed(0.5, at_least=True)
    speeds.keep("cpu", "a", speed(2.0))
    speeds.keep("cpu", "a", speed(1.0, at_least=True))
    assert speeds.known()["cpu: a"] == speed(2.0)
    speeds.keep("cpu", "a", speed(1.9))
    assert speeds.known()["cpu: a"] == speed(1.9)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"speeds": 3}',
        b'{"speeds": {"a": {"rate": -1, "how": "run", "at_least": false}}}',
        b'{"speeds": {"a": {"rate": NaN, "how": "run", "at_least": false}}}',
        b'{"speeds": {"a": {"rate": 1, "how": "run"}}}',
        b'{"speeds": {"a": {"rate": 1, "how": "guess", "at_least": false}}}',
    ],
)
def test_a_damaged_file_is_as_none(file: Path, data: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(data)
    assert speeds.known() == {}
    speeds.keep("cpu", "b", speed(1.0))
    assert list(speeds.known()) == ["cpu: b"]


def test_no_home_and_no_permission_stop_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.parent.write_text("a file is in the way")
    speeds.keep("cpu", "a", speed(1.0))
    assert speeds.known() == {}
    monkeypatch.delenv("XDG_CACHE_HOME")

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    speeds.keep("cpu", "a", speed(1.0))
    assert speeds.known() == {}


def test_a_writer_that_was_killed_leaves_the_file_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds.keep("cpu", "a", speed(1.0))

    def full(*names: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    speeds.keep("cpu", "b", speed(1.0))
    assert list(json.loads(file.read_bytes())["speeds"]) == ["cpu: a"]


def test_the_oldest_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "_MOST", 2)
    for name in "abca":
        speeds.keep("cpu", name, speed(1.0))
    assert list(speeds.known()) == ["cpu: c", "cpu: a"]


def progress(unit: str, total: float, *points: tuple[float, float]) -> Progress:
    made = Progress()
    for time, done in points:
        made.take(Advance(event="progress", time=time, done=done, total=total, unit=unit))
    return made


def test_the_speed_of_a_training_is_that_of_its_progress() -> None:
    """It may have continued from a saved state, and it loads libraries first."""
    trained = progress("steps", 1000, (100.0, 900), (120.0, 1000))
    assert speeds.of_step(work(least=1000.0, network=NETWORK), trained, 60.0) == 5.0
    assert speeds.of_step(work(least=1000.0, network=NETWORK), progress("minutes", 2, (0, 1), (60, 2)), 60.0) is None
    assert speeds.of_step(work(network=NETWORK), Progress(), 60.0) is None


def test_progress_in_pictures_is_turned_into_megapixels() -> None:
    predicted = progress("pictures", 4, (0.0, 0), (10.0, 4))
    assert speeds.of_step(work(least=8.0, unit="megapixels", network=NETWORK), predicted, 20.0) == pytest.approx(0.8)


def test_a_metric_may_tell_the_speed() -> None:
    told = Progress()
    told.take(Metric(event="metric", time=1.0, name="fields_of_view_per_s", value=9.5, step=3))
    assert speeds.of_step(work(metric="fields_of_view_per_s", network=NETWORK), told, 2.0) == 9.5


def test_of_other_steps_the_time_tells_it_if_they_take_long_enough() -> None:
    assert speeds.of_step(work(least=90.0), Progress(), 10.0) == 10.0
    assert speeds.of_step(work(least=90.0), Progress(), 3.0) is None
    assert speeds.of_step(work(least=90.0, rough=100.0), Progress(), 10.0) is None  # it waited for something else
    assert speeds.of_step(work(least=90.0, rough=9.0), Progress(), 10.0) == 10.0
