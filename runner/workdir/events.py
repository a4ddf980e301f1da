"""Reads `events.jsonl` while a stage writes it, and sums up the events as progress.

Whatever a stage has written there, the runner neither fails nor waits nor runs out of memory, and texts are such that a
terminal can show them.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import words
from runner.workdir.files import json_object, open_own
from runner.workdir.records import Artifact

_WINDOW_S, _WINDOW_SHARE, _WINDOW_MOST_S = 30.0, 0.25, 3600.0
_POINTS = 200  # most points kept in a window; without a limit, a run of weeks would keep millions

_AT_ONCE = 4 << 20  # bytes read in one go; a line that is longer is no event
_LAST = 32 << 20  # bytes of events that count when a stage has ended and they are not read yet
_LONGEST_TEXT = 4000
_MOST_ENTRIES = 1000  # metrics, artifacts and spent files that are kept; no stage has so many
_MOST_NUMBER = 1e15
_LONGEST_WAIT_S = 1e9

Event = dict[str, Any]


class Tail:
    """Reads the lines added to a file since the last call. A line that is not complete yet is read later."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset

    def new(self) -> list[Event]:
        """Events added since the last call, as far as they fit into 4 MB; the next call reads on.

        Lines that a crash has cut off are skipped, and so are lines that are longer.

        Raises:
          UserError: if there is anything but a plain file, which Floodrunner did not make.
        """
        try:
            with open_own(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read(_AT_ONCE)
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        if not end and len(data) == _AT_ONCE:
            end = _AT_ONCE
        self._offset += end
        return [event for line in data[:end].split(b"\n") if (event := _event(line)) is not None]

    def rest(self) -> Iterator[Event]:
        """All events that are left, once nobody writes any more. Of more than 32 MB only the last ones."""
        with contextlib.suppress(FileNotFoundError):
            self._offset = max(self._offset, os.lstat(self._path).st_size - _LAST)
        before = -1
        while self._offset != before:
            before = self._offset
            yield from self.new()


def begin(path: Path, text: str) -> int:
    """Appends a `start` event, which separates this attempt from earlier ones. Returns the offset after the event."""
    with open_own(path, "ab") as file:
        if file.tell() and not _ends_line(path):
            file.write(b"\n")
        file.write(json.dumps({"event": "start", "time": round(time.time(), 3), "text": text}).encode() + b"\n")
        return file.tell()


@dataclass(frozen=True)
class Begun:
    """The beginning of an attempt: its offset in `events.jsonl`, and its time in seconds, like `time.time`."""

    offset: int
    time: float


def last_begun(path: Path) -> Begun | None:
    """The beginning of the newest attempt in a file of events; None if there is no attempt."""
    found, offset = None, 0
    with contextlib.suppress(FileNotFoundError), open_own(path, "rb") as file:
        while line := file.readline(_AT_ONCE):
            offset += len(line)
            event = _event(line) if b'"start"' in line else None
            if event is not None and event["event"] == "start" and _numbers(event, "time"):
                found = Begun(offset, event["time"])
    return found if found is not None and 0 < found.time <= time.time() + _LONGEST_WAIT_S else None


@dataclass
class Progress:
    """The progress of a step, summed up from its events.

    Attributes:
      done: amount done, of `total`, in `unit`.
      latest: metric -> its latest value, from training or the result, in order of arrival.
      results: metric -> value, of the result only.
      spent: files in the state folder that are no longer needed.
      end: the closing event; None until it arrives.
    """

    done: float = 0
    total: float = 0
    unit: str = ""
    latest: dict[str, float | None] = field(default_factory=dict)
    results: dict[str, float | None] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)
    end: Event | None = None
    _begun: float = 0
    _history: deque[tuple[float, float]] = field(default_factory=deque)

    def take(self, event: Event) -> None:
        """Takes in one event. A metric without a step belongs to the result. An event of another form is ignored."""
        kind = event["event"]
        if kind == "progress" and _numbers(event, "done", "total", "time") and min(event["done"], event["total"]) >= 0:
            if event.get("unit") != self.unit or event["done"] < self.done:
                self._history.clear()  # a new phase starts, with a new rate
            if not self._history:
                self._begun = event["time"]
            self.done, self.total, self.unit = event["done"], event["total"], str(event.get("unit", ""))
            # Some stages work in bursts, longer ones in longer runs: after hours, the last half minute is not typical.
            window = min(max(_WINDOW_S, _WINDOW_SHARE * (event["time"] - self._begun)), _WINDOW_MOST_S)
            if len(self._history) > 1 and event["time"] - self._history[-2][0] < window / _POINTS:
                self._history.pop()
            self._history.append((event["time"], event["done"]))
            while len(self._history) > 2 and event["time"] - self._history[0][0] > window:
                self._history.popleft()
        elif kind == "metric" and isinstance(name := event.get("name"), str):
            number = float(event["value"]) if _is_number(event.get("value")) else None
            self.latest.pop(name, None)
            if len(self.latest) < _MOST_ENTRIES:
                self.latest[name] = number
            if "step" not in event and (name in self.results or len(self.results) < _MOST_ENTRIES):
                self.results[name] = number
        elif kind == "artifact" and isinstance(event.get("path"), str) and len(self.artifacts) < _MOST_ENTRIES:
            self.artifacts.append(Artifact(path=event["path"], title=str(event.get("title", ""))))
        elif kind == "spent" and isinstance(event.get("path"), str) and len(self.spent) < _MOST_ENTRIES:
            self.spent.append(Path(event["path"]).name)
        elif kind == "end":
            self.end = event

    @property
    def rate(self) -> float | None:
        """Units per second, over the last quarter of this attempt (30 s to an hour); None if not known yet."""
        if len(self._history) < 2:
            return None
        (t0, first), (t1, last) = self._history[0], self._history[-1]
        rate = (last - first) / (t1 - t0) if t1 > t0 else 0
        return rate if rate > 1 / _LONGEST_WAIT_S else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left; None if the rate is not known yet, or so low that the time says nothing."""
        rate = self.rate
        left = None if rate is None else max(0.0, (self.total - self.done) / rate)
        return left if left is not None and left < _LONGEST_WAIT_S else None


def _event(line: bytes) -> Event | None:
    """The event of a line, its texts such that a terminal can show them; None if the line holds no event."""
    event = json_object(line) if len(line) < _AT_ONCE else None
    if event is None or not isinstance(event.get("event"), str):
        return None
    return {name: _short(value) if isinstance(value, str) else value for name, value in event.items()}


def _short(text: str) -> str:
    cut = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."
    return words.shown(cut)


def _numbers(event: Event, *names: str) -> bool:
    return all(_is_number(event.get(name)) for name in names)


def _is_number(value: Any) -> bool:
    """Whether a value is a number that counts something; infinity, NaN and 10^300 are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST_NUMBER


def _ends_line(path: Path) -> bool:
    with open_own(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
