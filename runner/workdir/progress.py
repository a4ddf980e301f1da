"""Sums up the events of a step as its progress, with rate and time left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from floodrunner.runner.workdir.events import LONGEST_S, Advance, Conclusion, End, Event, Found, Metric, Spent
from floodrunner.runner.workdir.records import Artifact

_WINDOW_S, _WINDOW_SHARE, _WINDOW_MOST_S = 30.0, 0.25, 3600.0
_POINTS = 200  # most points kept in a window; without a limit, a run of weeks would keep millions
_MOST_ENTRIES = 1000  # metrics, artifacts and spent files that are kept; no stage has so many
_MOST_CONCLUSIONS = 20


@dataclass
class Progress:
    """The progress of a step, summed up from its events.

    Attributes:
      done: amount done, of `total`, in `unit`.
      latest: metric -> its latest value, from training or the result, in order of arrival.
      results: metric -> value, of the result only.
      conclusions: sentences about the result.
      spent: files in the state folder that are no longer needed.
      end: the closing event; None until it arrives.
    """

    done: float = 0
    total: float = 0
    unit: str = ""
    latest: dict[str, float | None] = field(default_factory=dict)
    results: dict[str, float | None] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    conclusions: list[str] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)
    end: End | None = None
    _begun: float = 0
    _history: deque[tuple[float, float]] = field(default_factory=deque)

    def take(self, event: Event) -> None:
        """Takes in one event. A metric without a step belongs to the result."""
        match event:
            case Advance():
                self._advance(event)
            case Metric(name=name, value=value, step=step):
                self.latest.pop(name, None)
                if len(self.latest) < _MOST_ENTRIES:
                    self.latest[name] = value
                if step is None and (name in self.results or len(self.results) < _MOST_ENTRIES):
                    self.results[name] = value
            case Found(path=path, title=title) if len(self.artifacts) < _MOST_ENTRIES:
                self.artifacts.append(Artifact(path=path, title=title))
            case Conclusion(text=text) if text.strip() and len(self.conclusions) < _MOST_CONCLUSIONS:
                self.conclusions.append(text)
            case Spent(path=path) if len(self.spent) < _MOST_ENTRIES:
                self.spent.append(Path(path).name)
            case End():
                self.end = event

    def _advance(self, event: Advance) -> None:
        if event.unit != self.unit or event.done < self.done:
            self._history.clear()  # a new phase starts, with a new rate
        if not self._history:
            self._begun = event.time
        self.done, self.total, self.unit = event.done, event.total, event.unit
        # Some stages work in bursts, longer ones in longer runs: after hours, the last half minute is not typical.
        window = min(max(_WINDOW_S, _WINDOW_SHARE * (event.time - self._begun)), _WINDOW_MOST_S)
        if len(self._history) > 1 and event.time - self._history[-2][0] < window / _POINTS:
            self._history.pop()
        self._history.append((event.time, event.done))
        while len(self._history) > 2 and event.time - self._history[0][0] > window:
            self._history.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second, over the last quarter of this attempt (30 s to an hour); None if not known yet."""
        if len(self._history) < 2:
            return None
        (t0, first), (t1, last) = self._history[0], self._history[-1]
        rate = (last - first) / (t1 - t0) if t1 > t0 else 0
        return rate if rate > 1 / LONGEST_S else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left; None if the rate is not known yet, or so low that the time says nothing."""
        rate = self.rate
        left = None if rate is None else max(0.0, (self.total - self.done) / rate)
        return left if left is not None and left < LONGEST_S else None
