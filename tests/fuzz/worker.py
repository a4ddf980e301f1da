"""Reads damaged files, one after the other: `python -m tests.fuzz.worker FOLDER`.

Standard input holds a line for each mutant, `format number`; for each, a line of JSON goes to standard output. A mutant
is read in a forked child with limits of memory and time, so that a crash ends only the child. TensorFlow cannot be
forked: with networks, this process itself reads, and its parent starts a new one if it ends.
"""

from __future__ import annotations

import contextlib
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


def _limit(seconds: int) -> None:
    """Limits memory to what is in use now and `MEMORY` more; and time, if `seconds` is not 0."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)


def _forked(kind: Format, number: int, folder: Path) -> dict[str, Any]:
    """Reads a mutant in a child of this process."""
    at, to = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(at)
            _limit(SECONDS)
            os.write(to, json.dumps(read(kind, number, folder)).encode()[:60_000])
        finally:
            os._exit(0)
    os.close(to)
    with open(at, "rb") as file:
        told = file.read()
    _, status = os.waitpid(child, 0)
    if told:
        return dict(json.loads(told))
    return {"code": -1, "text": f"ended by {signal.Signals(os.WTERMSIG(status)).name}" if status else "told nothing"}


def main(folder: Path) -> None:
    """Answers all requests on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    with open(folder / "log.txt", "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    networks = False
    for line in sys.stdin:
        name, number = line.split()
        kind = FORMATS[name]
        if kind.network and not networks:
            from tests.fuzz.networks import prepare

            prepare()
            networks = True
        if not (folder / name).exists():
            (folder / name).mkdir()
            kind.make(folder / name)
            read(kind, 0, folder)  # loads all modules
            if kind.network:
                _limit(0)
        with contextlib.suppress(OSError):
            os.truncate(folder / "log.txt", 0)
        print(f"--- {name} {number}", flush=True)
        told = read(kind, int(number), folder) if kind.network else _forked(kind, int(number), folder)
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
