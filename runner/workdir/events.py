"""Reads `events.jsonl` while a stage writes it, and sums up the events as progress."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.workdir.files import open_own
from runner.workdir.records import Artifact

_WINDOW_S, _WINDOW_SHARE, _WINDOW_MOST_S = 30.0, 0.25, 3600.0
_POINTS = 200  # most points kept in a window; without a limit, a run of weeks would keep millions

Event = dict[str, Any]


class Tail:
    """Reads the lines added to a file since the last call. A line that is not complete yet is read later."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset

    def new(self) -> list[Event]:
        """Events added since the last call. Lines that a crash has cut off are skipped."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := _event(line)) is not None]


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
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file:
            offset += len(line)
            event = _event(line)
            if event is not None and event["event"] == "start" and _numbers(event, "time"):
                found = Begun(offset, event["time"])
    return found


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
        """Takes in one event. A metric without a step belongs to the result."""
        kind = event["event"]
        if kind == "progress" and _numbers(event, "done", "total", "time"):
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
        elif kind == "metric" and "name" in event:
            value = event.get("value")
            number = float(value) if isinstance(value, int | float) else None
            self.latest.pop(event["name"], None)
            self.latest[event["name"]] = number
            if "step" not in event:
                self.results[event["name"]] = number
        elif kind == "artifact" and isinstance(event.get("path"), str):
            self.artifacts.append(Artifact(path=event["path"], title=str(event.get("title", ""))))
        elif kind == "spent" and isinstance(event.get("path"), str):
            self.spent.append(Path(event["path"]).name)
        elif kind == "end":
            self.end = event

    @property
    def rate(self) -> float | None:
        """Units per second, over the last quarter of this attempt (30 s to an hour); None if not known yet."""
        if len(self._history) < 2:
            return None
        (t0, first), (t1, last) = self._history[0], self._history[-1]
        return (last - first) / (t1 - t0) if t1 > t0 and last > first else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left; None if the rate is not known yet."""
        rate = self.rate
        return None if rate is None else max(0.0, (self.total - self.done) / rate)


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _numbers(event: Event, *names: str) -> bool:
    return all(isinstance(event.get(name), int | float) for name in names)


def _ends_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
