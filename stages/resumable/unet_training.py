"""The loop of a U-Net's training: steps, looks at the validation pictures, reports, the state to continue from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from contract.stage import Context

if TYPE_CHECKING:
    import keras
    import numpy as np
    from tensorboard.summary import Writer

    from segmentation.unet.examples import Examples
    from segmentation.unet.network import Network

STATE_FILE = "training.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0
_LOSS_WINDOW = 100
_TILE = 2048
_METHOD = 2  # another where networks, what they are to predict, or the measure of a look are no longer the same


class Validation(NamedTuple):
    """Pictures that training never sees.

    Attributes:
      names: of the pictures.
      pictures: of each, the image as the network takes it, and the target in the picture's own size.
      loss: by which the best weights are told, a name in `losses.LOSSES`.
    """

    names: list[str]
    pictures: list[tuple[np.ndarray, np.ndarray]]
    loss: str


class Training:
    """A training, from its saved state, if there is one, to its model.

    Args:
      params: with nothing left out.
      data: tells apart what it learns from.

    What has come of the training so far is `_progress`: JSON, as it is part of the state.
    """

    def __init__(
        self,
        params: Any,
        network: Network,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        examples: Examples,
        validation: Validation,
        data: str,
        context: Context,
    ) -> None:
        from segmentation import backend
        from stages.resumable import training

        self._params, self._network, self._context = params, network, context
        self._model, self._optimizer, self._examples, self._validation = model, optimizer, examples, validation
        self._forward = backend.forward(model)
        fixed = {"crop", "batch_size", "loss", "augment", "seed", "validation_fraction"}
        identity = network._asdict() | params.model_dump(mode="json", include=fixed) | {"data": data, "method": _METHOD}
        manner = params.model_dump(
            mode="json", include={"learning_rate", "schedule", "validation_steps", "patience", "max_minutes"}
        )
        self._saved = training.Saved(context, STATE_FILE, identity, manner)
        self._best: list[np.ndarray] = []
        self._progress: dict[str, Any] = {"seconds": 0.0, "losses": [], "looks": []}

    def resume(self) -> int:
        """Continues from the saved state, if there is one of this training; returns the step to go on from."""
        found = self._saved.load(self._params.max_steps)
        if found is None:
            return 0
        arrays, values = found
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"variables/{i}"])
        self._best = [arrays[f"best/{i}"] for i in range(len(self._model.weights)) if f"best/{i}" in arrays]
        self._examples.restore(values["examples"])
        self._progress = values["progress"]
        return int(values["step"])

    def save(self, step: int) -> None:
        import keras

        arrays = {f"variables/{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best/{i}": array for i, array in enumerate(self._best)}
        self._saved.save(step, arrays, {"examples": self._examples.state(), "progress": self._progress})

    def loop(self, train: Any, start: int) -> None:
        from tensorboard.summary import Writer

        board = Writer(str(self._context.state / "tensorboard"))
        try:
            end = self._steps(train, start, board)
        finally:
            board.close()
        if end > start:
            self.save(end)
        self._finish(end)

    def _steps(self, train: Any, start: int, board: Writer) -> int:
        """Trains until something says that it is enough; returns the number of steps."""
        from stages.resumable import training

        params, context, progress = self._params, self._context, self._progress
        before, begun = progress["seconds"], time.monotonic()
        reported = saved = begun
        step = start
        while True:
            context.stop_point(lambda: self.save(step))  # noqa: B023  # called before the loop goes on
            share = max(step / params.max_steps, progress["seconds"] / 60 / (params.max_minutes or float("inf")))
            looks = progress["looks"]
            if (share >= 1 or step % params.validation_steps == 0) and step > (looks[-1]["step"] if looks else 0):
                self._look(step, board)
            if share >= 1 or self._in_vain() >= params.patience:
                return step
            self._optimizer.learning_rate.assign(training.learning_rate(params.learning_rate, params.schedule, share))
            loss, _ = train(*self._examples.batch())
            if loss != loss:
                raise training.diverged(step, params.learning_rate)
            step += 1
            now = time.monotonic()
            progress["seconds"] = before + now - begun
            progress["losses"] = [*progress["losses"], loss][-_LOSS_WINDOW:]
            if now - reported >= max(_REPORT_INTERVAL_S, (now - begun) / 5000):
                reported = now
                mean = sum(progress["losses"]) / len(progress["losses"])
                board.add_scalar("loss", mean, step)
                context.metric("loss", mean, step=step)
                if params.max_minutes is None or step / params.max_steps >= share:
                    context.progress(step, params.max_steps, "steps")
                else:
                    context.progress(round(share * params.max_minutes, 2), params.max_minutes, "minutes")
            if now - saved >= _SAVE_INTERVAL_S:
                saved = now
                self.save(step)

    def _look(self, step: int, board: Writer) -> None:
        """Scores the weights on the validation pictures, and keeps them if they are the best so far."""
        import keras

        from segmentation.scores.overlap import dice
        from segmentation.unet import prediction
        from segmentation.unet.losses import Pooled

        overlaps, pooled = [], Pooled()
        for image, truth in self._validation.pictures:
            self._context.stop_point(lambda: self.save(step))
            found = prediction.squash(prediction.picture(self._forward, self._network, image, _TILE), truth.shape[:2])
            overlaps.append(dice(found[..., 0] > 0.5, truth[..., 0] > 0.5))
            pooled.add(truth, found)
        loss, overlap = pooled.value(self._validation.loss), sum(overlaps) / len(overlaps)
        losses, looks = self._progress["losses"], self._progress["looks"]
        look = {"step": step, "loss": sum(losses) / len(losses), "validation_loss": loss, "validation_dice": overlap}
        for name in ("validation_loss", "validation_dice"):
            board.add_scalar(name, look[name], step)
            self._context.metric(name, look[name], step=step)
        if not looks or loss < min(each["validation_loss"] for each in looks):
            self._best = [keras.ops.convert_to_numpy(weight) for weight in self._model.weights]
        looks.append(look)

    def _in_vain(self) -> int:
        """How many looks there were since that which found the best weights."""
        losses = [look["validation_loss"] for look in self._progress["looks"]]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def _finish(self, end: int) -> None:
        from segmentation import curves
        from stages.readers import files
        from stages.storage import unet_models

        params, context, looks = self._params, self._context, self._progress["looks"]
        if end < params.max_steps:
            why = f"{params.patience} looks in a row found nothing better"
            if self._in_vain() < params.patience:
                why = f"max_minutes, {params.max_minutes:g}, are over"
            context.message(f"stopped after {end} of {params.max_steps} steps: {why}")
        context.progress(end, end, "steps")
        best = min(looks, key=lambda look: look["validation_loss"])
        context.message(
            f"best at step {best['step']}: loss {best['validation_loss']:.4f}, Dice {best['validation_dice']:.4f} on "
            "validation pictures"
        )
        about = {"step": best["step"], "validation": self._validation.names}
        unet_models.write_model(context.outputs["model"], self._network, self._best, about)
        picture = context.output_folder / "curves.png"
        steps = [look["step"] for look in looks]
        lines = {name: [look[name] for look in looks] for name in ("loss", "validation_loss", "validation_dice")}
        files.write(picture, curves.draw(steps, lines))
        context.artifact(picture, "loss in training and on the validation pictures, and their Dice")

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._optimizer.variables]
