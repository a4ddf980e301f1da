"""A measurement that takes too long is ended; what it has written until then counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.contract.survey import Network, Speeds
from floodrunner.runner.engines import local
from floodrunner.runner.engines.base import Exit, Job
from floodrunner.runner.survey import ask

NETWORKS = {"s": Network(kind="ffn", settings={}, shape=(1, 3, 3, 3), trains=True)}


class Endless:
    """A stage that never ends."""

    name = "endless"
    closed = False

    def wait(self, seconds: float) -> Exit | None:
        return None

    def stop(self) -> None:
        return None

    def kill(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("written", [True, False])
def test_a_measurement_that_takes_too_long(written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Endless()
    found = Speeds(speeds={"s": 0.1}, hurried=("s",))

    def start(job: Job, root: Path) -> Endless:
        if written:
            Path(job.outputs["report"]).write_text(found.model_dump_json())
        return stage

    monkeypatch.setattr(local, "start", start)
    monkeypatch.setitem(ask._LONGEST_S, ask.SPEED_STAGE, 0)
    if written:
        assert ask.speeds(NETWORKS, local, tmp_path, False) == found
    else:
        with pytest.raises(ask.NoAnswer, match="it took more than 0 s"):
            ask.speeds(NETWORKS, local, tmp_path, False)
    assert stage.closed
