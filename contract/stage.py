"""What a stage is written against: the base of its parameters, its errors, and the context it runs in.

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
    """Base of a stage's `Params`: strict and frozen, without unknown keys. The docstring below a field is its help."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    RENAMED: ClassVar[dict[str, str]] = {}
    """Earlier name of a parameter -> its name of today. The earlier one is refused, with a hint to the new one."""

    @classmethod
    def parse(cls, params: dict[str, Any]) -> Self:
        """Checks parameters that were read from YAML or JSON.

        Through JSON: pydantic's lax mode turns True into 1.0, and its strict mode refuses a list where the field is a
        tuple, except when it reads JSON.

        Raises:
          ValidationError: if a parameter is unknown, missing, or not of its type.
        """
        return cls.model_validate_json(json.dumps(params))

    def check_ports(self, connected: Collection[str]) -> None:
        """Checks parameters against the connected input ports. Overridden where a parameter replaces or needs a port.

        Raises:
          ValueError: if they do not fit together; says what was found and what to do.
        """


class InputError(Exception):
    """The user's input or settings are wrong. One line: where, what was found, what to do. Exit code 2."""


class StageError(Exception):
    """The stage failed for a reason that the user can act on, other than the input. One line. Exit code 1."""


class Stopped(BaseException):
    """SIGTERM or Ctrl-C arrived, and the stage has saved its state. Exit code 130."""


class Context:
    """A running stage's access to its ports, its state folder, and its reports to the user.

    Attributes:
      step: id of the step in the pipeline, for messages that name it (`--force train`).
      inputs: port -> path, for the ports that are connected. A path from the user may carry a dataset
        (`image.h5:raw`); all others are plain paths.
      outputs: port -> path to write. The folder that holds them belongs to this step alone. All files in it are
        published together when the stage returns.
      state: folder for checkpoints that a later try continues from. It survives a failure.
      program: hash of code and library versions. A stage saves it with its state, and compares it before continuing.
      stop_requested: whether the stage should save its state and leave.
    """

    def __init__(self, job: Job, events: IO[str]) -> None:
        self.step = job.step
        self.inputs = dict(job.inputs)
        self.outputs = {port: Path(path) for port, path in job.outputs.items()}
        self.state = Path(job.state)
        self.program = job.program
        self.stop_requested = False
        self._defer_stop = False
        self._events = events
        self._last_progress = float("-inf")

    def progress(self, done: float, total: float, unit: str) -> None:
        """Reports progress. May be called at any rate; at most two lines a second are written, and always the last."""
        now = time.monotonic()
        if done < total and now - self._last_progress < _PROGRESS_INTERVAL_S:
            return
        self._last_progress = now
        self.emit("progress", done=done, total=total, unit=unit)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Reports a number.

        Args:
          name: in snake_case; the terminal shows it with spaces.
          step: the training step that it belongs to; None for a number about the result, which the step's record keeps.
        """
        self.emit("metric", name=name, value=value, **({} if step is None else {"step": step}))

    def artifact(self, path: Path, title: str) -> None:
        """Points the user to a file or folder in the output folder that is worth opening."""
        self.emit("artifact", path=os.path.relpath(path, self.output_folder), title=title)

    def message(self, text: str) -> None:
        """Shows the user one line; it is also kept in the log and the events."""
        print(text, flush=True)
        self.emit("message", text=text)

    @property
    def output_folder(self) -> Path:
        """The folder of the outputs, also for extra files beside them."""
        return next(iter(self.outputs.values())).parent

    def spent(self, path: Path) -> None:
        """Marks a file in the state folder as no longer needed: the runner removes it after publishing the outputs."""
        self.emit("spent", path=path.name)

    def emit(self, event: str, **fields: Any) -> None:
        """Appends one event to `events.jsonl`. A number that is infinite or not a number is written as null."""
        # JSON has no NaN: a reader in another language would fail on it.
        finite = {k: None if isinstance(v, float) and v - v != 0 else v for k, v in fields.items()}
        line = json.dumps({"event": event, "time": round(time.time(), 3), **finite})
        self._events.write(line + "\n")
        self._events.flush()

    def request_stop(self) -> None:
        """Asks the stage to stop; called from the signal handler.

        Raises:
          Stopped: at once, unless the stage is inside `saves_on_stop` and leaves at its next stop point.
        """
        self.stop_requested = True
        if not self._defer_stop:
            raise Stopped

    @contextlib.contextmanager
    def saves_on_stop(self) -> Iterator[None]:
        """Inside this block, a stop waits for the next `stop_point`. The stage must reach one within a few seconds."""
        self._defer_stop = True
        try:
            yield
        finally:
            self._defer_stop = False

    def stop_point(self, save: Callable[[], None]) -> None:
        """Calls `save` and leaves, if a stop was requested. Call it where the state can be saved.

        Raises:
          Stopped: if a stop was requested.
        """
        if self.stop_requested:
            save()
            raise Stopped
