"""Shared by all tests: running one stage in this process, and where the reference data is."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from contract.job import Job
from contract.ports import port_file
from contract.stage import Context

# A shell has what it starts in the background ignore Ctrl-C, nohup the end of the terminal; and all that these start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; tests that ask for it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the reference data (../shared/data), which is not part of the project")
    return SHARED


class StageResult(dict[str, Path]):
    """Port -> path of what the stage wrote; and what it reported."""

    events: list[dict[str, Any]]

    def reported(self, event: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == event]


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., StageResult]:
    """`run_stage("fill", {"segmentation": path}, max_distance=40)` runs a stage in this process."""

    def run(name: str, inputs: dict[str, Path | str], /, **params: Any) -> StageResult:
        stage = import_module(f"stages.{name.replace('-', '_')}")
        folder = tmp_path / f"{name}-{len(list(tmp_path.glob(f'{name}-*')))}"
        folder.mkdir()
        outputs = {port: folder / port_file(port, kind) for port, kind in stage.OUTPUTS.items()}
        job = Job(
            step="this-step",
            stage=name,
            params=params,
            inputs={port: str(path) for port, path in inputs.items()},
            outputs={port: str(path) for port, path in outputs.items()},
            state=str(folder / "state"),
        )
        events = io.StringIO()
        result = StageResult(outputs)
        try:
            stage.run(stage.Params.parse(params), Context(job, events))
        finally:
            result.events = [json.loads(line) for line in events.getvalue().splitlines()]
        return result

    return run
