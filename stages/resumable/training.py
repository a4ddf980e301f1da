"""What all trainings share: the saved state that one goes on from, its learning rate, a loss that is not a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from contract.stage import Context, InputError, StageError
from stages.resumable import state


class Saved:
    """The state of one training.

    Args:
      file: its name in the step's state folder.
      identity: with any of these changed it is another training.
      manner: what may change on the way, and is told.
    """

    def __init__(self, context: Context, file: str, identity: dict[str, Any], manner: dict[str, Any]) -> None:
        self._context, self._identity, self._manner = context, identity, manner
        self._path = context.state / file

    def load(self, max_steps: int) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """What `save` was given, if there is a state of this training; one of another training is set aside.

        Raises:
          InputError: if going on from it could not mean what the user thinks.
        """
        saved = state.load(self._path)
        if saved is None:
            return None
        arrays, values = saved
        if other := [k for k, v in self._identity.items() if values["identity"].get(k) != v]:
            aside = state.set_aside(self._context.state)
            self._context.message(
                f"the saved state is of another training ({', '.join(other)} changed): kept in state/{aside.name}, "
                "starting over"
            )
            return None
        self._check(int(values["step"]), values["manner"], values["program"], max_steps)
        return arrays, values

    def save(self, step: int, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
        """Keeps the state after a step.

        Raises:
          StageError: if a value is not a number; the good state stays.
        """
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise diverged(step, self._manner["learning_rate"])
        ours = {"identity": self._identity, "manner": self._manner, "program": self._context.program, "step": step}
        state.save(self._path, arrays, ours | values)

    def _check(self, step: int, manner: dict[str, Any], program: str, max_steps: int) -> None:
        """Whether going on from a state means what the user thinks; says what has changed since it was saved."""
        changed = ", ".join(f"{k} {manner[k]} -> {v}" for k, v in self._manner.items() if manner[k] != v)
        if step > max_steps:
            raise InputError(
                f"max_steps is {max_steps}, but {step} steps are trained already; set it to {step} or "
                f"more, or start afresh with --force {self._context.step}"
            )
        if step == max_steps and changed:
            raise InputError(
                f"all {step} steps are trained already, and {changed} would change nothing; raise max_steps to go on "
                f"with it, or start afresh with --force {self._context.step}"
            )
        if changed:
            self._context.message(f"going on with {changed}")
        if program != self._context.program:
            self._context.message(
                f"the code or a library has changed since step {step}; its weights are kept "
                f"(--force {self._context.step} starts afresh)"
            )


def learning_rate(highest: float, schedule: str, done: float) -> float:
    """The rate when `done`, 0 to 1, of a training is over: `constant`, or along a `cosine` from the highest to 0."""
    return highest if schedule == "constant" else highest * (1 + math.cos(math.pi * done)) / 2


def diverged(step: int, rate: float) -> StageError:
    return StageError(
        f"the loss is not a number at step {step}: training diverged; try a learning_rate lower than "
        f"{rate}: it goes on from the last saved step"
    )
