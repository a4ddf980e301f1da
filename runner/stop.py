"""Ctrl-C, SIGTERM and a closed terminal: at once between stages, on request while a stage is at work."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from runner.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Counts the requests to stop. Outside `shielded` a request raises Interrupted where it arrives.

    Attributes:
      count: requests so far; the first asks the stage to save and leave, the second kills it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._shielded = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Signals that were ignored when we started (nohup) stay so."""
        former = {number: signal.getsignal(number) for number in _SIGNALS}
        for number, handler in former.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """Inside, a request is only counted; at the end it raises Interrupted if there was one."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        self.check()

    def check(self) -> None:
        """Raises Interrupted if there was a request."""
        if self.count:
            raise Interrupted

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if not self._shielded:
            raise Interrupted
