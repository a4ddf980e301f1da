"""The training loop of all networks, from the saved state to the last step.

What differs between networks (drawing a batch, the step, what is done at intervals) is a `Task`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from floodrunner.contract.stage import Context, InputError, StageError
from floodrunner.stages.resumable import state

STATE_FILE = "training.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0
_REPORT_INTERVAL_SHARE = 1 / 5000
"""At least this share of the elapsed time passes between two reports, so that the log of long training stays small."""
_LOSS_WINDOW = 100

Record = Callable[[str, float], None]
"""Called with (name, value): reports a value at the current step, and writes it to TensorBoard."""


class Schedule(NamedTuple):
    """How long to train, and with which learning rate.

    Attributes:
      max_steps: steps in total, over all runs of the stage.
      learning_rate: highest learning rate.
      shape: `constant`, or `cosine`, which falls to 0 at the end of the training.
      max_minutes: time limit in total, over all runs of the stage; None for no limit.
    """

    max_steps: int
    learning_rate: float
    shape: str
    max_minutes: float | None = None

    def share(self, progress: Progress) -> float:
        """Returns the share of training that is done, in steps or in time, whichever is more; it ends at 1 or more."""
        return max(progress.step / self.max_steps, progress.seconds / 60 / (self.max_minutes or math.inf))

    def rate(self, share: float) -> float:
        """Returns the learning rate to use when this share of training is done."""
        highest = self.learning_rate
        return highest if self.shape == "constant" else highest * (1 + math.cos(math.pi * share)) / 2


@dataclass
class Progress:
    """How far training has got: steps done, seconds spent, and the losses of the last steps."""

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    def mean_loss(self) -> float:
        return sum(self.losses) / len(self.losses)


class Variable(Protocol):
    """The methods of `keras.Variable` that the loop uses."""

    def assign(self, value: Any) -> Any: ...

    def numpy(self) -> np.ndarray: ...


class Task(Protocol):
    """The part of training that depends on the kind of network.

    Attributes:
      variables: everything that a step changes: weights, moving averages, the optimiser's variables.
      learning_rate: the learning rate, which the loop sets before each step.
    """

    @property
    def variables(self) -> Sequence[Variable]: ...

    @property
    def learning_rate(self) -> Variable: ...

    def step(self) -> float:
        """Draws a batch and makes one step of gradient descent; returns the loss."""

    def between_steps(self, progress: Progress, ending: bool, record: Record, stop_point: Callable[[], None]) -> bool:
        """Does what is due at intervals, such as a validation. Also called at the start, and at the end (`ending`).

        Work that takes more than a few seconds must call `stop_point` in between. If training stops there, the next run
        calls `between_steps` again for the same step.

        Returns:
          Whether the result of `state` has changed.
        """

    def enough(self) -> bool:
        """Returns whether to stop before the last step, because further steps would not help."""

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Returns arrays and JSON values that `restore` needs, besides `variables`, to continue exactly from here."""

    def restore(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""


class Saved:
    """The saved state of training, in the step's state folder.

    Args:
      identity: settings and data that must not change; a state with another identity is set aside.
      manner: settings that may change from one run to the next; a change is reported.
      renamed: names of settings in `manner` in earlier versions -> their names today.
    """

    def __init__(
        self,
        context: Context,
        identity: dict[str, Any],
        manner: dict[str, Any],
        renamed: Mapping[str, str] | None = None,
    ) -> None:
        self._context, self._identity, self._manner = context, identity, manner
        self._renamed = renamed or {}
        self._path = context.state / STATE_FILE

    def resume(self, task: Task, max_steps: int) -> Progress:
        """Restores the task from the saved state, if there is one, and returns the progress made so far.

        Raises:
          InputError: if the file is damaged, or if training cannot continue from it with these settings.
        """
        saved = state.load(self._path)
        if saved is None:
            return Progress()
        arrays, values = saved
        with state.restoring(self._path):
            return self._continue(task, arrays, values, max_steps)

    def _continue(
        self, task: Task, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any], max_steps: int
    ) -> Progress:
        if other := [name for name, value in self._identity.items() if values["identity"].get(name) != value]:
            aside = state.set_aside(self._context.state)
            self._context.message(
                f"the saved state has other settings or data ({', '.join(other)} changed): it is kept in "
                f"state/{aside.name}, and training starts over"
            )
            return Progress()
        before = {self._renamed.get(name, name): value for name, value in values["manner"].items()}
        self._check(int(values["step"]), before, values["program"], max_steps)
        for i, variable in enumerate(task.variables):
            variable.assign(arrays[f"variables/{i}"])
        task.restore(arrays, values)
        progress = values.get("progress", {})
        return Progress(int(values["step"]), progress.get("seconds", 0.0), progress.get("losses", []))

    def save(self, task: Task, progress: Progress) -> None:
        """Saves the state between two steps.

        Raises:
          StageError: if an array has values that are not finite; the previous saved state is kept.
        """
        own, values = task.state()
        arrays = {f"variables/{i}": np.array(variable.numpy()) for i, variable in enumerate(task.variables)} | own
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise _diverged(progress.step, self._manner["learning_rate"])
        about = {"identity": self._identity, "manner": self._manner, "program": self._context.program}
        how_far = {"step": progress.step, "progress": {"seconds": progress.seconds, "losses": progress.losses}}
        state.save(self._path, arrays, values | about | how_far)

    def _check(self, step: int, before: dict[str, Any], program: str, max_steps: int) -> None:
        """Raises InputError if continuing would not do what the user expects; reports what changed since the save."""
        changed = ", ".join(f"{k} {before[k]} -> {v}" for k, v in self._manner.items() if before[k] != v)
        if step > max_steps:
            raise InputError(
                f"max_steps is {max_steps}, but training has already done {step} steps; set max_steps to {step} "
                f"or more, or start over with --force {self._context.step}"
            )
        if step == max_steps and changed:
            raise InputError(
                f"training has already done all {step} steps, so {changed} would have no effect; raise "
                f"max_steps to continue with this change, or start over with --force {self._context.step}"
            )
        if changed:
            self._context.message(f"continuing with {changed}")
        if program != self._context.program:
            self._context.message(
                f"the code or a library has changed since step {step}; the weights are kept "
                f"(--force {self._context.step} starts over)"
            )


def train(task: Task, schedule: Schedule, progress: Progress, saved: Saved, context: Context) -> None:
    """Trains from `progress`, which is updated, until steps or time are used up or `task.enough()` is true.

    Reports the mean loss of the last 100 steps at most every 2 seconds, and saves the state every 5 minutes, when a
    stop is requested, and at the end. Call it inside `context.saves_on_stop()`.

    Raises:
      StageError: if the loss is not a number.
      Stopped: if a stop was requested; the state is saved.
    """
    from tensorboard.summary import Writer

    _report_share(schedule, progress, context)
    board = Writer(str(context.state / "tensorboard"))
    start, seconds_before = progress.step, progress.seconds
    begun = last_report = last_save = time.monotonic()

    def record(name: str, value: float) -> None:
        board.add_scalar(name, value, progress.step)
        context.metric(name, value, step=progress.step)

    def save() -> None:
        saved.save(task, progress)
        _report_share(schedule, progress, context)

    def stop_point() -> None:
        context.stop_point(save)

    try:
        while True:
            stop_point()
            share = schedule.share(progress)
            changed = task.between_steps(progress, share >= 1, record, stop_point)
            if share >= 1 or task.enough():
                break
            task.learning_rate.assign(schedule.rate(share))
            loss = task.step()
            if math.isnan(loss):
                raise _diverged(progress.step, schedule.learning_rate)
            now = time.monotonic()
            progress.step += 1
            progress.seconds = seconds_before + now - begun
            progress.losses = [*progress.losses, loss][-_LOSS_WINDOW:]
            if now - last_report >= max(_REPORT_INTERVAL_S, (now - begun) * _REPORT_INTERVAL_SHARE):
                last_report = now
                record("loss", progress.mean_loss())
                _report_share(schedule, progress, context)
            if now - last_save >= _SAVE_INTERVAL_S:
                last_save = now
                saved.save(task, progress)
        if progress.step > start:
            record("loss", progress.mean_loss())
        if progress.step > start or changed:
            saved.save(task, progress)
    finally:
        board.close()
    context.progress(progress.step, progress.step, "steps")


def _report_share(schedule: Schedule, progress: Progress, context: Context) -> None:
    """Reports progress in steps or in minutes, whichever will end the training first."""
    share = schedule.share(progress)
    if schedule.max_minutes is None or progress.step / schedule.max_steps >= share:
        context.progress(progress.step, schedule.max_steps, "steps")
    else:
        context.progress(round(share * schedule.max_minutes, 2), schedule.max_minutes, "minutes")


def _diverged(step: int, rate: float) -> StageError:
    return StageError(
        f"the loss is not a number at step {step}: training diverged; set learning_rate below {rate} and run again: "
        "training continues from the last saved step"
    )
