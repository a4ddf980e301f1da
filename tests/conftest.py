"""Shared by all tests: how workers share the machine, a stage run in this process, and the reference data."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from floodrunner.contract.job import Job
from floodrunner.contract.ports import port_file
from floodrunner.contract.stage import Context

# A shell has what it starts in the background ignore Ctrl-C, nohup the end of the terminal; and all that these start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Variables that tell numerical libraries how many threads to use."""


def share_processors() -> None:
    """Gives each of several pytest workers its share of the processors, for itself and for what it starts.

    The libraries read the variables when they are loaded, so this comes before any of them is imported.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        threads = str(max((os.cpu_count() or 1) // workers, 1))
        for name in THREADS:
            os.environ.setdefault(name, threads)


share_processors()


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs keep the speeds that they find in the cache folder of their user, which is not that of the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests that use the Docker engine run in one worker: they build its images once, and some stop the engine."""
    for item in items:
        if item.get_closest_marker("docker") or item.path.is_relative_to(Path(__file__).parent / "docker"):
            item.add_marker(pytest.mark.xdist_group("engine"))


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
        stage = import_module(f"floodrunner.stages.{name.replace('-', '_')}")
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
