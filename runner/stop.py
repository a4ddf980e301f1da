"""Stops a run on Ctrl-C, SIGTERM or a closed terminal: at once between stages; a running stage has time to save."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from floodrunner.runner.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Counts requests to stop. A request raises Interrupted at once, except inside `shielded`.

    Attributes:
      count: number of requests so far. The first asks the stage to save its state and exit, the second kills the stage.
    """

    def __init__(self) -> None:
        self.count = 0
        self._shielded = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Inside this block, signals count as requests. A signal that was ignored before (nohup) stays ignored."""
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
        """Inside this block, a request is only counted. At its end, raises Interrupted if there was one."""
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
