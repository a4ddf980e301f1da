"""What a build shows while it goes, and what it leaves to say when it fails."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from runner import words
from runner.build.buildkit import Said
from runner.errors import UserError
from runner.terminal import display

if TYPE_CHECKING:
    from rich.console import RenderableType

_PLAIN_INTERVAL_S = 15.0
_STEP_CHARACTERS, _LINE_CHARACTERS = 90, 120
_WORKS = re.compile(r"\S+ (RUN|COPY) ")
_SAYS_NOTHING = ("[notice]", "WARNING: Running pip as", "debconf: ")


class BuildLog:
    """Keeps all of it in a file, and says in plain lines how far it is. Use as a context manager.

    Attributes:
      path: the file; it goes when the build is done.
      disk_full: whether something said so.
      failure: the first thing that went wrong; None so far.
      images: what the steps left, as far as the builder says, oldest first.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self.name = name
        self.step, self.last = "", ""
        self.steps = self.cached = 0
        self.failure: Said | None = None
        self.disk_full = False
        self.images: list[str] = []
        self._lines: dict[str, str] = {}
        self._stream = stream or sys.stdout
        self._started = self._spoken = time.monotonic()
        self._unsaid = ""
        handle, path = tempfile.mkstemp(prefix=f"floodrunner-build-{name.rpartition(':')[2]}-", suffix=".log")
        self.path = Path(path)
        self._file = os.fdopen(handle, "w", encoding="utf-8", errors="replace")

    def __enter__(self) -> BuildLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._file.close()
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, UserError):  # done, Ctrl-C, all said
            self.path.unlink(missing_ok=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def take(self, said: Said) -> None:
        self._write(said)
        if said.what != "other":  # only now is known whether there is anything to do
            if self._unsaid and (said.what == "output" or (said.what != "cached" and _WORKS.match(self._unsaid))):
                self.say(f"{self.name}: step {words.short(self._unsaid, _STEP_CHARACTERS)}")
            self._unsaid = ""
        self.disk_full = self.disk_full or "no space left on device" in said.text.lower()
        if said.what == "step":
            self.steps += 1
            self.step, self.last = said.step, ""
            self._unsaid = said.step
        elif said.what == "cached":
            self.cached += 1
        elif said.what == "image":
            self.images.append(said.text)
        elif said.what == "error":
            self.failure = self.failure or said
        elif said.what == "output":
            self.last = said.text
            if not said.text.startswith(_SAYS_NOTHING):
                self._lines[said.step] = said.text
            if time.monotonic() - self._spoken >= _PLAIN_INTERVAL_S:
                self.say(f"{self.name}: {words.duration(self.seconds)}: {words.short(said.text, _LINE_CHARACTERS)}")

    def last_of(self, step: str) -> str:
        """The last line that a step has written and that says something."""
        return self._lines.get(step, "")

    def say(self, text: str) -> None:
        self._spoken = time.monotonic()
        try:
            print(text, file=self._stream, flush=True)
        except OSError:
            display.hush(self._stream)

    def _write(self, said: Said) -> None:
        mark = f"[{said.step}] " if said.step and said.what in ("output", "error") else ""
        self._file.write(f"{mark}{said.text or f'{said.what}: {said.step}'}\n")
        self._file.flush()


class LiveBuildLog(BuildLog):
    """Two lines in a terminal, drawn again as they change: the step, and what it wrote last."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        from rich.console import Console
        from rich.live import Live

        self._live = Live(get_renderable=self._drawn, console=Console(), refresh_per_second=4, transient=True)

    def __enter__(self) -> BuildLog:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            self._live.stop()
        except OSError:
            display.hush(sys.stdout)
        super().__exit__(kind, *error)

    def say(self, text: str) -> None:
        """What is drawn says it."""

    def _drawn(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        step = f"step {self.step}" if self.step else "the builder begins"
        lines = {f"▸ {self.name}, {words.duration(self.seconds)}: {step}": "bold", f"  {self.last}": "dim"}
        return Group(*(Text(line, style, no_wrap=True, overflow="ellipsis") for line, style in lines.items()))


def make(name: str) -> BuildLog:
    """The live view in a terminal that can draw it, plain lines elsewhere."""
    return LiveBuildLog(name) if display.can_draw() else BuildLog(name)
