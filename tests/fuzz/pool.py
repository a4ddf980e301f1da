"""Has workers read mutants, and judges what they tell."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fuzz.format import Format
from tests.fuzz.worker import SECONDS

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 120


class Reader:
    """A process that reads mutants, started when it is needed and again if it has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._started: set[str] = set()

    def read(self, kind: Format, number: int) -> dict[str, Any]:
        """Reads a mutant; returns what `worker.read` does."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{kind.name} {number}\n")
        process.stdin.flush()
        seconds = SECONDS + 10 + (0 if kind.name in self._started else _START_S)
        self._started.add(kind.name)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(seconds) else ""
        if line:
            return dict(json.loads(line))
        self.close()
        how = signal.Signals(-process.returncode).name if process.returncode < 0 else f"code {process.returncode}"
        return {"code": -1, "text": f"the process did not answer; it ended with {how}"}

    def log(self) -> str:
        """What the last mutant printed."""
        return (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker", str(self._folder)],
                cwd=_ROOT,
                env=os.environ | {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process


def fault(told: dict[str, Any]) -> str:
    """What is wrong with how a mutant was read; "" if it was read, or refused in one line."""
    code, text = told["code"], told["text"]
    if code not in (0, 2):
        return f"exit code {code}: {text}"
    if code == 2 and not text:
        return "refused without a word"
    if odd := [line for line in (text, *told.get("said", ())) if not line.isprintable()]:
        return f"not one plain line: {odd[0]!r}"
    if len(text) > 1200:
        return f"a line of {len(text)} characters: {text[:80]}..."
    if told.get("seconds", 0) > SECONDS:
        return f"took {told['seconds']:.0f} s"
    return ""
