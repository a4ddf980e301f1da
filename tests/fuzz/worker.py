"""Reads damaged files, one after the other: `python -m tests.fuzz.worker FOLDER`.

Standard input holds a line for each mutant, `format number`; for each, a line of JSON goes to standard output. A mutant
is read in a forked child with limits of memory and time, so that a crash ends only the child. A child reads many,
because forking takes longer than reading. This process itself loads modules only: a TensorFlow that has computed
cannot be forked.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.format import Format, Outcome
from tests.fuzz.formats import FORMATS

MEMORY = 2**30
"""Bytes that reading a mutant may ask for, beyond what the process has before. All valid files need under a tenth."""

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
"""Longest time that reading a mutant may take."""

_EACH = 40
"""Mutants that a child reads."""


def mutate(kind: Format, number: int, prepared: Path, folder: Path) -> Path:
    """Copies a valid variant into `folder` and changes one file; returns that file. Number 0 is the valid file."""
    random = Random(f"{kind.name} {number}")
    variants = sorted(each for each in prepared.iterdir() if each.is_dir())
    shutil.copytree(variants[number % len(variants)], folder)
    targets = sorted(file for file in folder.glob(kind.targets) if file.is_file())
    file = random.choice(targets)
    if number:
        kind.change(file, random)
    return file


def read(kind: Format, number: int, folder: Path) -> dict[str, Any]:
    """Reads a mutant in this process."""
    prepared, work = folder / kind.name, folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    random_file = mutate(kind, number, prepared, work)
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome = kind.read(work)
    except BaseException:
        traceback.print_exc()
        outcome = Outcome(-1, "the reader raised an error")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    told = outcome._asdict() | {"file": random_file.name, "seconds": time.monotonic() - begun, "kilobytes": grown}
    return {key: _plain(value) for key, value in told.items()}


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


class _Child:
    """A forked process that reads mutants, up to `_EACH`, with limits of memory and time."""

    def __init__(self, folder: Path) -> None:
        at, to_child = os.pipe()
        from_child, to = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(to_child)
                os.close(from_child)
                _serve(folder, at, to)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(at)
        os.close(to)
        self._requests, self._answers = os.fdopen(to_child, "w"), os.fdopen(from_child)
        self._left = _EACH

    def ask(self, request: str) -> dict[str, Any]:
        """Has a mutant read, or valid files made (`make format`)."""
        self._left -= 1
        self._requests.write(f"{request}\n")
        self._requests.flush()
        if told := self._answers.readline():
            return dict(json.loads(told))
        self._left = 0
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"code {status >> 8}"
        return {"code": -1, "text": f"the process ended with {how}"}

    def is_spent(self) -> bool:
        return self._left <= 0

    def end(self) -> None:
        self._requests.close()
        self._answers.close()
        if self._pid:
            os.waitpid(self._pid, 0)


def _serve(folder: Path, at: int, to: int) -> None:
    """What a child does: reads until there are no more requests."""
    with os.fdopen(at) as requests, os.fdopen(to, "w") as answers:
        for request in requests:
            name, number = request.split()
            kind = FORMATS[name]
            if number == "make":
                kind.make(folder / name)
                told: dict[str, Any] = {"code": 0}
            else:
                _limit()
                told = read(kind, int(number), folder)
            answers.write(json.dumps(told) + "\n")
            answers.flush()


def _limit() -> None:
    """Limits time, and memory to what is in use now and `MEMORY` more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)


def _prepare(kind: Format, folder: Path) -> str:
    """Makes the valid files of a format, and loads the modules that it needs; says what went wrong."""
    if kind.network:
        from tests.fuzz.networks import prepare

        prepare()
    (folder / kind.name).mkdir()
    child = _Child(folder)
    made = child.ask(f"{kind.name} make")
    child.end()
    if not made["code"] and not kind.network:
        read(kind, 0, folder)
    return f"the valid files could not be made: {made['text']}" if made["code"] else ""


def main(folder: Path) -> None:
    """Answers all requests on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    child: _Child | None = None
    for line in sys.stdin:
        os.truncate(folder / "log.txt", 0)
        kind, wrong = FORMATS[line.split()[0]], ""
        is_new = not (folder / kind.name).exists()
        if child is not None and (is_new or child.is_spent()):
            child.end()
            child = None
        if is_new:
            wrong = _prepare(kind, folder)
        child = child or _Child(folder)
        answers.write(json.dumps({"code": -1, "text": wrong} if wrong else child.ask(line.strip())) + "\n")
        answers.flush()
    if child is not None:
        child.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
