"""What a stage and the runner agree on: kinds of port, parameters, the job file, the events, the exit codes.

Light on purpose (standard library and pydantic): the runner imports this, and every stage's header, to check a
pipeline before anything starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from contract.job import Job

_PROGRESS_INTERVAL_S = 0.5


class StageParams(BaseModel):
    """Base of a stage's `Params`: strict and frozen, unknown keys refused, help text in the docstring of each field."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    RENAMED: ClassVar[dict[str, str]] = {}
    """Earlier name of a parameter -> its name of today. The earlier one is refused, with a hint to the new one."""

    @classmethod
    def parse(cls, params: dict[str, Any]) -> Self:
        """Validates strictly. Through JSON, as pydantic's lax modes turn True into 1.0 and its strict one refuses
        the list that YAML gives for a tuple."""
        return cls.model_validate_json(json.dumps(params))

    def check_ports(self, connected: Collection[str]) -> None:
        """For parameters that take the place of an input port, or need one.

        Raises:
          ValueError: if they do not fit the ports that are connected; what was found, what to do.
        """


class InputError(Exception):
    """The user's input or settings are wrong. One line: where, what was found, what to do. Exit code 2."""


class StageError(Exception):
    """The stage could not do its work for another reason that the user can see to. Exit code 1."""


class Stopped(BaseException):
    """SIGTERM or Ctrl-C arrived, and whatever had to be saved is saved. Exit code 130."""


class Context:
    """What a running stage is given besides its parameters: where its ports are, and how to report.

    Attributes:
      inputs: port -> path, for the ports that are connected. A path from the user may carry a dataset
        (`image.h5:raw`); everything else is a plain path.
      outputs: port -> path to write. Its parent folder is this step's alone; it is published as a whole
        when the stage returns.
      state: folder for what a later try continues from (checkpoints). It survives failure.
      program: tells apart code and versions; a state should keep it.
    """

    def __init__(self, job: Job, events: IO[str]) -> None:
        self.inputs = dict(job.inputs)
        self.outputs = {port: Path(path) for port, path in job.outputs.items()}
        self.state = Path(job.state)
        self.program = job.program
        self.stop_requested = False
        self._defer_stop = False
        self._events = events
        self._last_progress = float("-inf")

    def progress(self, done: float, total: float, unit: str) -> None:
        """Reports how far the stage is; callers may call as often as they like, two lines a second are written."""
        now = time.monotonic()
        if done < total and now - self._last_progress < _PROGRESS_INTERVAL_S:
            return
        self._last_progress = now
        self.emit("progress", done=done, total=total, unit=unit)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Reports a figure: of training (with its step), or of the result."""
        self.emit("metric", name=name, value=value, **({} if step is None else {"step": step}))

    def artifact(self, path: Path, title: str) -> None:
        """Names a file or folder below the output folder that a person will want to open."""
        self.emit("artifact", path=os.path.relpath(path, self.output_folder), title=title)

    def message(self, text: str) -> None:
        """Tells the user something in one line; it is shown, and kept."""
        print(text, flush=True)
        self.emit("message", text=text)

    @property
    def output_folder(self) -> Path:
        """Where extra files that go with the outputs belong."""
        return next(iter(self.outputs.values())).parent

    def spent(self, path: Path) -> None:
        """Says that a file of the state is of no use any more once the outputs are published: then it is removed."""
        self.emit("spent", path=path.name)

    def emit(self, event: str, **fields: Any) -> None:
        # NaN is no JSON: a reader in another language would stop at it.
        finite = {k: None if isinstance(v, float) and v - v != 0 else v for k, v in fields.items()}
        line = json.dumps({"event": event, "time": round(time.time(), 3), **finite})
        self._events.write(line + "\n")
        self._events.flush()

    def request_stop(self) -> None:
        """Called from the signal handler: raises at once, unless the stage saves its state at a stop point."""
        self.stop_requested = True
        if not self._defer_stop:
            raise Stopped

    @contextlib.contextmanager
    def saves_on_stop(self) -> Iterator[None]:
        """Inside, a stop waits for the next `stop_point`. The stage must reach one within a few seconds."""
        self._defer_stop = True
        try:
            yield
        finally:
            self._defer_stop = False

    def stop_point(self, save: Callable[[], None]) -> None:
        """A place where it is safe to leave: if a stop was asked for, calls `save` and leaves.

        Raises:
          Stopped: if a stop was asked for.
        """
        if self.stop_requested:
            save()
            raise Stopped
