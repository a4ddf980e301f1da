"""What the code of a stage uses: the base class of its parameters, its errors, and the context in which it runs.

The runner imports this module, and the header of every stage in a pipeline, to check the pipeline before anything
starts. To stay fast, this module imports only the standard library and pydantic.
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

from floodrunner.contract.job import Job

_PROGRESS_INTERVAL_S = 0.5


class StageParams(BaseModel):
    """Base class of a stage's `Params`: strict, frozen, no unknown keys. The docstring below a field is its help."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    RENAMED: ClassVar[dict[str, str]] = {}
    """Old name of a parameter -> its current name. The old name is refused, and the message gives the current name."""

    @classmethod
    def parse(cls, params: dict[str, Any]) -> Self:
        """Checks parameters that were read from YAML or JSON.

        Passes the parameters to pydantic as JSON: pydantic's lax mode would turn True into 1.0, and its strict mode
        accepts a list for a tuple only in JSON.

        Raises:
          ValidationError: if a parameter is unknown, missing, or not of its type.
        """
        return cls.model_validate_json(json.dumps(params))

    def check_ports(self, connected: Collection[str]) -> None:
        """Checks that the parameters fit the connected input ports.

        A stage overrides this method if one of its parameters replaces a port, or needs one.

        Raises:
          ValueError: if parameters and ports do not fit together; the message says what was found and what to do.
        """


class InputError(Exception):
    """The user's input or settings are wrong. The message is one line: where, what was found, what to do.

    Exit code 2.
    """


class StageError(Exception):
    """The stage failed, not because of its input, and the user can do something about it.

    The message is one line. Exit code 1.
    """


class Stopped(BaseException):
    """SIGTERM or Ctrl-C arrived, and the stage has saved its state. Exit code 130."""


class Context:
    """A running stage's access to its ports, its state folder, and its reports to the user.

    Attributes:
      step: id of the step in the pipeline, for messages that name it (`--force train`).
      inputs: port -> path, for the ports that are connected. A path from the user may also name a dataset
        (`image.h5:raw`); all others are plain paths.
      outputs: port -> path to write. The folder that holds them belongs to this step alone. All files in it are
        published together when the stage returns.
      state: folder for checkpoints, from which a later attempt continues. It is kept if the stage fails.
      program: hash of code and library versions. A stage saves this hash with its state. Before it
        continues from a state, it compares the saved hash with this one.
      stop_requested: whether the stage should save its state and end.
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
        self._reached: dict[str, Any] = {}

    def progress(self, done: float, total: float, unit: str) -> None:
        """Reports progress. A stage may call this at any rate; at most two events a second are written.

        The last event (`done` equals `total`) is always written.
        """
        now = time.monotonic()
        self._reached = {"done": done, "total": total, "unit": unit}
        if done < total and now - self._last_progress < _PROGRESS_INTERVAL_S:
            return
        self._last_progress = now
        self.emit("progress", **self._reached)

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Reports a number.

        Args:
          name: in snake_case; the terminal shows it with spaces.
          step: the training step that the number belongs to. None for a number about the result: the record of the
            pipeline step keeps such numbers.
        """
        self.emit("metric", name=name, value=value, **({} if step is None else {"step": step}))

    def artifact(self, path: Path, title: str) -> None:
        """Tells the user that a file or folder in the output folder is worth opening."""
        self.emit("artifact", path=os.path.relpath(path, self.output_folder), title=title)

    def message(self, text: str) -> None:
        """Shows the user one line, and writes it to the log and to the events."""
        print(text, flush=True)
        self.emit("message", text=text)

    def conclude(self, text: str) -> None:
        """Says in one sentence what the result is, or how good: `Too many merges: 1 object covers 12 neurons`.

        The record of the pipeline step keeps the sentence, and `run` and `status` show it below the step's numbers. At
        most 20 sentences of 300 characters are kept.
        """
        print(text, flush=True)
        self.emit("conclusion", text=text)

    @property
    def output_folder(self) -> Path:
        """The folder of the outputs. A stage may write other files there too."""
        return next(iter(self.outputs.values())).parent

    def spent(self, path: Path) -> None:
        """Marks a file in the state folder as no longer needed. The runner removes it after publishing the outputs."""
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
          Stopped: at once, unless the stage is inside `saves_on_stop` and will end at its next `stop_point`.
        """
        self.stop_requested = True
        if not self._defer_stop:
            raise Stopped

    @contextlib.contextmanager
    def saves_on_stop(self) -> Iterator[None]:
        """Inside this block, a stop waits for the next `stop_point`. The stage must reach it within a few seconds."""
        self._defer_stop = True
        try:
            yield
        finally:
            self._defer_stop = False

    def stop_point(self, save: Callable[[], None]) -> None:
        """If a stop was requested, calls `save` and ends the stage. Call this where the state can be saved.

        Raises:
          Stopped: if a stop was requested.
        """
        if self.stop_requested:
            save()
            if self._reached:
                self.emit("progress", **self._reached)  # exact: the last one may be half a second old
            raise Stopped
