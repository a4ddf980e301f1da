"""The loop of flood-filling inference. It can stop in the middle of an object, and later continue from there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from floodrunner.contract.stage import Context

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.segmentation.ffn.canvas import Attempt, Canvas


STATE_FILE = "inference.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0


class Inference:
    """The loop over the seeds, with its reports and its saved state.

    Args:
      identity: settings, network and data, as JSON; a state with another identity is set aside.
      seeds: (n, 3) positions, z, y, x, in the order in which they are tried.
      voxels: number of voxels to segment.
    """

    def __init__(self, identity: dict[str, Any], seeds: np.ndarray, voxels: int, context: Context) -> None:
        self.attempts: list[Attempt] = []
        self.seconds: list[float] = []
        """Time that each attempt took, in seconds, over all runs of the stage."""
        self._context, self._seeds = context, seeds
        self._next = self._settled = 0
        self._claimed, self._voxels = 0, voxels
        self._fovs = 0
        self._begun = self._saved = self._reported = self._attempt_begun = time.monotonic()
        self._save_interval: float = _SAVE_INTERVAL_S
        self._identity = identity | {"program": context.program}

    def counted(self, forward: Any) -> Any:
        """Wraps the forward pass of the network. Each call also saves the state if that is due, and can be the place
        where the stage stops."""

        def call(given: np.ndarray) -> np.ndarray:
            self._report()
            if time.monotonic() - self._saved >= self._save_interval:
                self._save(self._canvas)
            self._context.stop_point(lambda: self._save(self._canvas))
            self._fovs += 1
            output: np.ndarray = forward(given)
            return output

        return call

    def flood(self, canvas: Canvas) -> None:
        """Continues from the saved state, if there is one, and tries all remaining seeds."""
        self._canvas = canvas
        self._resume(canvas)
        for attempt in canvas.segment(self._seeds[self._next :]):
            self._next += 1
            if attempt is not None:
                self.attempts.append(attempt)
                self.seconds.append(round(time.monotonic() - self._attempt_begun, 3))
                self._claimed += attempt.voxels if attempt.id else 0
            self._attempt_begun = time.monotonic()
            self._report()
        self._save(canvas)  # because writing the result may fail, for example on a full disk

    def _report(self) -> None:
        now = time.monotonic()
        tried, total = self._next, len(self._seeds)
        if now - self._reported < _REPORT_INTERVAL_S and tried < total:
            return
        self._reported = now
        self._context.metric("objects", self._canvas.max_id, step=tried)
        self._context.metric("share_claimed", round(self._claimed / self._voxels, 4), step=tried)
        self._context.metric("fields_of_view_per_s", round(self._fovs / max(now - self._begun, 1e-3), 1), step=tried)
        # Seeds inside an object need no attempt. Counting them as done gives a better estimate of the remaining time.
        # An object may be discarded later, but reported progress never decreases.
        self._settled = max(self._settled, tried + self._canvas.settled(self._seeds[tried:]))
        self._context.progress(self._settled, total, "seeds")

    def _resume(self, canvas: Canvas) -> None:
        from floodrunner.stages.resumable import state

        saved = state.load(self._context.state / STATE_FILE)
        if saved is None:
            return
        arrays, values = saved
        with state.restoring(self._context.state / STATE_FILE):
            self._continue(canvas, arrays, values)

    def _continue(self, canvas: Canvas, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
        from floodrunner.segmentation.ffn.canvas import Attempt
        from floodrunner.stages.resumable import state

        if values["identity"] != self._identity:
            aside = state.set_aside(self._context.state)
            self._context.message(
                f"the saved state has other settings or data: it is kept in state/{aside.name}, and segmentation "
                "starts over"
            )
            return
        canvas.restore(arrays, values["canvas"])
        self._next, self.seconds = values["next"], values["seconds"]
        self.attempts = [
            Attempt(**each | {"seed": tuple(each["seed"]), "overlapped": tuple(map(tuple, each["overlapped"]))})
            for each in values["attempts"]
        ]
        self._claimed = sum(attempt.voxels for attempt in self.attempts if attempt.id)
        self._attempt_begun = time.monotonic() - values["attempt_seconds"]
        self._context.message(f"continuing at seed {self._next} of {len(self._seeds)}, with {canvas.max_id} objects")

    def _save(self, canvas: Canvas) -> None:
        from floodrunner.stages.resumable import state

        begun = time.monotonic()
        arrays, of_canvas = canvas.state()
        values: dict[str, Any] = {
            "identity": self._identity,
            "canvas": of_canvas,
            "next": self._next,
            "attempts": [vars(attempt) for attempt in self.attempts],
            "seconds": self.seconds,
            "attempt_seconds": begun - self._attempt_begun,
        }
        state.save(self._context.state / STATE_FILE, arrays, values)
        self._saved = time.monotonic()
        self._save_interval = max(
            _SAVE_INTERVAL_S, 20 * (self._saved - begun)
        )  # saving takes at most a twentieth of the time
