"""The loop of a flood-filling network's training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.stage import Context

if TYPE_CHECKING:
    import keras
    from tensorboard.summary import Writer

    from segmentation.ffn.network import Network


STATE_FILE = "training.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0
_LOSS_WINDOW = 100


class Training:
    """The loop around the steps: learning rate, reports, checkpoints, and the state to continue from."""

    def __init__(
        self,
        params: Any,
        network: Network,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        examples: Any,
        data: str,
        context: Context,
    ) -> None:
        from stages.resumable import training

        self._params, self._network, self._context = params, network, context
        self._model, self._optimizer, self._examples = model, optimizer, examples
        # Steps and learning rate may change on the way; with any of these it is another training.
        fixed = {"depth", "features", "fov_xyz", "deltas_xyz", "batch_size", "augment", "seed"}
        identity = params.model_dump(mode="json", include=fixed) | {"data": data}
        manner = params.model_dump(mode="json", include={"learning_rate", "schedule"})
        self._saved = training.Saved(context, STATE_FILE, identity, manner)

    def resume(self) -> int:
        """Continues from the saved state, if there is one of this training; returns the step to go on from."""
        found = self._saved.load(self._params.max_steps)
        if found is None:
            return 0
        arrays, values = found
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"variables/{i}"])
        self._examples.restore(values["examples"] | {"masks": arrays["masks"]})
        return int(values["step"])

    def save(self, step: int) -> None:
        import keras

        arrays = {f"variables/{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        examples = self._examples.state()
        arrays["masks"] = examples.pop("masks")
        self._saved.save(step, arrays, {"examples": examples})

    def loop(self, train: Any, start: int) -> None:
        from tensorboard.summary import Writer

        board = Writer(str(self._context.state / "tensorboard"))
        try:
            self._steps(train, start, board)
        finally:
            board.close()
        if start < self._params.max_steps:
            self.save(self._params.max_steps)
        self.write_model(self._context.outputs["model"], self._params.max_steps)

    def _steps(self, train: Any, start: int, board: Writer) -> None:
        from collections import deque

        from stages.resumable import training

        params, context = self._params, self._context
        losses: deque[float] = deque(maxlen=_LOSS_WINDOW)
        begun = reported = saved = time.monotonic()
        for step in range(start, params.max_steps):
            self._optimizer.learning_rate.assign(self._learning_rate(step))
            given, target = self._examples.batch()
            loss, logits = train(given, target)
            if loss != loss:
                raise training.diverged(step, params.learning_rate)
            self._examples.update(logits)
            losses.append(loss)
            done = step + 1
            now = time.monotonic()
            # Seldom enough, in the end, that a fortnight leaves a file one can open.
            if now - reported >= max(_REPORT_INTERVAL_S, (now - begun) / 5000) or done == params.max_steps:
                reported = now
                mean = sum(losses) / len(losses)
                board.add_scalar("loss", mean, done)
                context.metric("loss", mean, step=done)
                context.progress(done, params.max_steps, "steps")
            if done % params.checkpoint_steps == 0:
                self.write_model(context.state / "checkpoints" / f"step-{done:08d}", done)
            context.stop_point(lambda: self.save(done))  # noqa: B023  # called before the loop goes on
            if now - saved >= _SAVE_INTERVAL_S:
                saved = now
                self.save(done)

    def write_model(self, folder: Path, step: int) -> None:
        from segmentation.ffn import network as ffn
        from stages.storage import ffn_models

        ffn_models.write_model(folder, self._network, ffn.weights(self._model), step)

    def _learning_rate(self, step: int) -> float:
        from stages.resumable import training

        return training.learning_rate(self._params.learning_rate, self._params.schedule, step / self._params.max_steps)

    def _variables(self) -> list[Any]:
        return [*self._model.trainable_variables, *self._optimizer.variables]
