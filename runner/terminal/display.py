"""Shows a run in progress: in a terminal as one line per step with a bar, elsewhere as plain lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from floodrunner.runner import words
from floodrunner.runner.workdir.events import Advance, Event, Message, Metric
from floodrunner.runner.workdir.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDE, _NARROW = 110, 100
_GAPS, _LEAST = 1 + 3 + 1, 10  # the mark, three gaps, and a column that stays free; the least width of the facts
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
    """The state of one step, as the display shows it.

    Attributes:
      task: what the step does, such as `train a network`.
    """

    step: str
    task: str = ""
    status: str = "waiting"
    text: str = ""
    progress: Progress = field(default_factory=Progress)
    started: float = 0.0

    def reached(self) -> str:
        """How far the step is: `34/70 sections`; "" if it has not said so."""
        progress = self.progress
        if not progress.total:
            return ""
        return f"{words.number(progress.done)}/{words.number(progress.total)} {progress.unit}".strip()

    def facts(self, brief: bool = False) -> list[str]:
        """Facts about the progress: `34/70 sections`, `12/s`, `0:03 left`, `loss 0.32`, as far as they are known.

        Args:
          brief: without the rate, which follows from the others.
        """
        progress, found = self.progress, [reached] if (reached := self.reached()) else []
        if progress.rate is not None and not brief:
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

    def __init__(self, tasks: Mapping[str, str], stream: TextIO | None = None) -> None:
        """Args:
        tasks: step -> what it does, a sentence that starts with a verb.
        """
        self.lines = {step: Line(step, _as_part_of_a_line(task)) for step, task in tasks.items()}
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
        """`reason`: why the step runs. For a step that never ran before, nobody wonders why."""
        line = self.lines[step]
        self._set(step, "running", line.task)
        line.started = self._spoken[step] = time.monotonic()
        why = f" ({reason})" if reason != "never run" else ""
        self.say(f"{step}: runs{why}{f': {line.task}' if line.task else ''}")

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
        line, reached = self.lines[step], ""
        if status != "done" and line.reached():
            reached = f" at {line.reached()}"
        self._set(step, status, f"{words.duration(seconds)}{reached}")
        took = f"{status} {'in' if status == 'done' else 'after'} {line.text}"
        self.say(f"{step}: {', '.join([took, *(line.metrics() if status == 'done' else [])])}")

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

    def __init__(self, tasks: Mapping[str, str]) -> None:
        super().__init__(tasks)
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

        # All widths are fixed, and add up to that of the terminal: each step keeps one line, and none of its names.
        width = self._console.width
        name = max(len(step) for step in self.lines)
        bar_width = 20 if width >= _WIDE else 6 if width >= _NARROW else 0
        rest = max(width - name - bar_width - _GAPS, _LEAST)
        table = Table.grid(padding=(0, 1))
        for column in (1, name, bar_width, rest):
            table.add_column(no_wrap=True, overflow="ellipsis", width=column)
        for line in self.lines.values():
            colour, running = _COLOURS[line.status], line.status == "running"
            known = line.progress.total or None
            bar = ProgressBar(
                total=known, completed=line.progress.done, pulse=not known, animation_time=time.monotonic()
            )
            facts = [line.text, *line.metrics()]
            if running:
                spent = words.duration(time.monotonic() - line.started)
                first, *others = line.facts(brief=width < _WIDE) or [line.text]
                facts = [f"{spent}: {first}", *others]
            table.add_row(
                Text(self._marks[line.status], style=colour),
                Text(line.step, style=colour),
                bar if running and bar_width else "",
                Text(_fitting(facts, rest), style="dim" if line.status in ("waiting", "skipped") else ""),
            )
        return table


def make(tasks: Mapping[str, str]) -> Display:
    """The live view if the terminal can draw it, otherwise plain lines."""
    return LiveDisplay(tasks) if can_draw() else Display(tasks)


def _as_part_of_a_line(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:].removesuffix('.')}"


def _fitting(facts: list[str], width: int) -> str:
    """The first facts, as many as fit. If not even the first one fits, its end is cut."""
    text = words.shown(facts[0])
    for fact in facts[1:]:
        if len(longer := f"{text}, {words.shown(fact)}") > width:
            break
        text = longer
    return text


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
