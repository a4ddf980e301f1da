"""Shows a run in progress: in a terminal as one line per step with a bar, elsewhere as plain lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from floodrunner.runner import words
from floodrunner.runner.workdir.events import Advance, Event, Message, Metric
from floodrunner.runner.workdir.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDE = 110
_PLAIN_INTERVAL_S = 5.0
_METRICS_SHOWN = 3
_MARKS = {"waiting": "·", "running": "▸", "done": "✓", "skipped": "–", "stopped": "■", "failed": "✗"}
_ASCII_MARKS = {"waiting": ".", "running": ">", "done": "+", "skipped": "-", "stopped": "=", "failed": "x"}
_COLOURS = {
    "waiting": "dim",
    "running": "bold",
    "done": "green",
    "skipped": "dim",
    "stopped": "yellow",
    "failed": "red",
}


@dataclass
class Line:
    """The state of one step, as the display shows it."""

    step: str
    status: str = "waiting"
    text: str = ""
    progress: Progress = field(default_factory=Progress)
    started: float = 0.0

    def facts(self) -> list[str]:
        """Facts about the progress: `34/70 sections`, `12/s`, `0:03 left`, `loss 0.32`, as far as they are known."""
        progress, found = self.progress, []
        if progress.total:
            found.append(f"{words.number(progress.done)}/{words.number(progress.total)} {progress.unit}".strip())
        if progress.rate is not None:
            found.append(
                f"{progress.rate:.3g}/s" if progress.rate >= 0.1 else f"{words.duration(1 / progress.rate)} each"
            )
        if progress.seconds_left is not None and progress.done < progress.total:
            found.append(f"{words.duration(progress.seconds_left)} left")
        return found + self.metrics()

    def metrics(self) -> list[str]:
        """The newest metrics, such as `loss 0.32`."""
        return words.metrics(self.progress.latest)[-_METRICS_SHOWN:]


class Display:
    """Shows plain lines; also the base class of the live view. If the output cannot be written, the run continues."""

    def __init__(self, steps: Sequence[str], stream: TextIO | None = None) -> None:
        self.lines = {step: Line(step) for step in steps}
        self._stream = stream or sys.stdout
        self._spoken: dict[str, float] = {}

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def skipped(self, step: str, reason: str) -> None:
        self._set(step, "skipped", reason)
        self.say(f"{step}: skipped ({reason})")

    def started(self, step: str, reason: str) -> None:
        self._set(step, "running", reason)
        self.lines[step].started = time.monotonic()
        self._spoken[step] = time.monotonic()
        self.say(f"{step}: runs ({reason})")

    def event(self, step: str, event: Event) -> None:
        line = self.lines[step]
        line.progress.take(event)
        if isinstance(event, Message):
            self.note(f"{step}: {event.text}")
        elif isinstance(event, Advance | Metric):
            now = time.monotonic()
            if now - self._spoken.get(step, 0.0) >= _PLAIN_INTERVAL_S and (facts := line.facts()):
                self._spoken[step] = now
                self.say(f"{step}: {', '.join(facts)}")

    def finished(self, step: str, status: str, seconds: float) -> None:
        """`status` is `done`, `stopped` or `failed`."""
        self._set(step, status, words.duration(seconds))
        metrics = self.lines[step].metrics() if status == "done" else []
        took = f"{status} {'in' if status == 'done' else 'after'} {words.duration(seconds)}"
        self.say(f"{step}: {', '.join([took, *metrics])}")

    def note(self, text: str) -> None:
        """Shows one line, which stays on the screen."""
        self.say(text)

    def say(self, text: str) -> None:
        """Prints one line."""
        try:
            print(words.shown(text), file=self._stream, flush=True)
        except OSError:
            hush(self._stream)

    def _set(self, step: str, status: str, text: str) -> None:
        self.lines[step].status, self.lines[step].text = status, text


class LiveDisplay(Display):
    """Shows one line per step, and draws the line again when it changes."""

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__(steps)
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._marks = _MARKS if _can_write("".join(_MARKS.values()), self._console.encoding) else _ASCII_MARKS
        self._live = Live(
            get_renderable=self._table, console=self._console, refresh_per_second=4, vertical_overflow="ellipsis"
        )

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._live.stop()
        except OSError:
            hush(sys.stdout)

    def note(self, text: str) -> None:
        try:
            self._console.print(words.shown(text), markup=False, highlight=False)
        except OSError:
            hush(sys.stdout)

    def say(self, text: str) -> None:
        """Prints nothing, because the table shows the same."""

    def _table(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        # In a narrow terminal the bar shrinks and the text wraps, so that names and numbers stay whole.
        table.add_column(no_wrap=True, min_width=max(len(step) for step in self.lines))
        table.add_column(width=20 if self._console.width >= _WIDE else 6)
        table.add_column(overflow="fold")
        for line in self.lines.values():
            colour, running = _COLOURS[line.status], line.status == "running"
            known = line.progress.total or None
            bar = ProgressBar(
                total=known, completed=line.progress.done, pulse=not known, animation_time=time.monotonic()
            )
            text = ", ".join(line.facts() or [line.text]) if running else ", ".join([line.text, *line.metrics()])
            if running:
                text = f"{words.duration(time.monotonic() - line.started)}: {text}"
            table.add_row(
                Text(self._marks[line.status], style=colour),
                Text(line.step, style=colour),
                bar if running else "",
                Text(words.shown(text), style="dim" if line.status in ("waiting", "skipped") else ""),
            )
        return table


def make(steps: Sequence[str]) -> Display:
    """The live view if the terminal can draw it, otherwise plain lines."""
    return LiveDisplay(steps) if can_draw() else Display(steps)


def can_draw() -> bool:
    """Whether standard output is a terminal that can redraw lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _can_write(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def hush(stream: TextIO) -> None:
    """Discards all further output to a stream that failed (closed pipe, lost terminal, full disk)."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
