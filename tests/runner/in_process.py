"""An engine for tests that are not about processes: it calls the stage in this process.

The module is the plug-in, as in `runner/engines/`: it provides what `floodrunner.runner.engines.base.Engine` asks for.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from floodrunner import segmentation, stages
from floodrunner.contract.job import JOB_FILE, LOG_FILE
from floodrunner.runner.engines import base, local
from floodrunner.runner.engines.base import Exit, Job
from floodrunner.runner.workdir.files import write_json
from floodrunner.stages.__main__ import main

identity, no_gpu, notes, reclaim = local.identity, local.no_gpu, local.notes, local.reclaim
"""As `local`, which also runs stages with this Python: a run folder of one is up to date for the other."""
facts, orphans = base.no_facts, base.no_orphans


def unavailable(jobs: Sequence[Job], root: Path) -> str:
    return ""


def start(job: Job, root: Path) -> Ended:
    """Runs the stage to its end."""
    write_json(job.folder / JOB_FILE, job.described(gpu=False))
    with (
        open(job.folder / LOG_FILE, "a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        _signals_restored(),
        _packages_of(root),
    ):
        return Ended(main(job.folder))


class Ended:
    """A stage that has come to its end already."""

    name = "this process"

    def __init__(self, code: int) -> None:
        self._code = code

    def wait(self, seconds: float) -> Exit:
        return Exit(self._code, "")

    def stop(self) -> None:
        return None

    def kill(self) -> None:
        return None

    def close(self) -> None:
        return None


@contextlib.contextmanager
def _signals_restored() -> Iterator[None]:
    """A stage sets handlers of its own, and does not set them back: its process ends with it."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _packages_of(root: Path) -> Iterator[None]:
    """Inside, modules of our `stages` and `segmentation` come from below `root`; none of them is kept afterwards."""
    packages, before = (stages, segmentation), set(sys.modules)
    former = [list(package.__path__) for package in packages]
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # two edits within a second look the same to it
    for package in packages:
        package.__path__[:] = [str(root / package.__name__.removeprefix("floodrunner."))]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        for package, paths in zip(packages, former, strict=True):
            package.__path__[:] = paths
        for name in set(sys.modules) - before:
            if name.startswith(("floodrunner.stages.", "floodrunner.segmentation.")):
                del sys.modules[name]
                package_name, _, module = name.rpartition(".")
                if package := sys.modules.get(package_name):
                    delattr(package, module)
