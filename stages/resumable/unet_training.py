"""What a U-Net adds to the training loop in `training.py`: validation, the best weights, early stopping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from floodrunner.segmentation.scores.overlap import dice
from floodrunner.segmentation.unet import prediction
from floodrunner.segmentation.unet.losses import Pooled

if TYPE_CHECKING:
    import keras

    from floodrunner.segmentation.unet.examples import Examples
    from floodrunner.segmentation.unet.network import NetworkSpec
    from floodrunner.segmentation.unet.tiling import Forward
    from floodrunner.stages.resumable.training import Progress, Record

_TILE = 2048


class Validation(NamedTuple):
    """Pictures that are not trained on, and how the weights are scored on them.

    Attributes:
      pictures: for each picture, the image as the network takes it, (y, x, channels) float32, and the target in the
        picture's own size, (y, x, k) float32.
      loss: name in `losses.LOSSES`; the weights with the lowest loss are the best. If no picture has a cell, that would
        be the weights that find the fewest cells, so the last weights count as the best.
      interval: steps from one validation to the next.
      patience: training stops after this many validations in a row that did not find better weights.
    """

    pictures: list[tuple[np.ndarray, np.ndarray]]
    loss: str
    interval: int
    patience: int

    @property
    def has_cells(self) -> bool:
        return any(bool(target[..., 0].any()) for _, target in self.pictures)


class UNetTask:
    """Training of a U-Net, a `training.Task`.

    Args:
      train: the compiled training step, (input, target) -> (loss, output).
      forward: the network's compiled forward pass.

    Attributes:
      validations: step, mean training loss, validation loss and validation Dice of each validation so far. The Dice is
        the mean over the pictures with cells, None if there are none; the loss is that of all pictures.
      best: the weights with the lowest validation loss so far.
    """

    def __init__(
        self,
        network: NetworkSpec,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        train: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]],
        forward: Forward,
        examples: Examples,
        validation: Validation,
    ) -> None:
        self.variables = [*model.variables, *optimizer.variables]
        self.learning_rate = optimizer.learning_rate
        self.validations: list[dict[str, Any]] = []
        self.best: list[np.ndarray] = []
        self._network, self._model, self._train, self._examples = network, model, train, examples
        self._forward, self._validation = forward, validation
        self._judged = validation.has_cells

    def step(self) -> float:
        return self._train(*self._examples.batch())[0]

    def between_steps(self, progress: Progress, ending: bool, record: Record, stop_point: Callable[[], None]) -> bool:
        last = self.validations[-1]["step"] if self.validations else 0
        due = progress.step > last and (ending or progress.step % self._validation.interval == 0)
        if due:
            self._validate(progress, record, stop_point)
        return due

    def enough(self) -> bool:
        return self.without_gain() >= self._validation.patience

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {f"best/{i}": array for i, array in enumerate(self.best)}
        return arrays, {"examples": self._examples.state(), "validations": self.validations}

    def restore(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        self.best = [arrays[f"best/{i}"] for i in range(len(self._model.weights)) if f"best/{i}" in arrays]
        self._examples.restore(values["examples"])
        # Earlier versions saved the validations under the name "looks".
        self.validations = values["validations"] if "validations" in values else values["progress"]["looks"]

    def without_gain(self) -> int:
        """Returns the number of validations since the validation that found the best weights."""
        losses = [each["validation_loss"] for each in self.validations]
        return len(losses) - 1 - losses.index(min(losses)) if losses and self._judged else 0

    def _validate(self, progress: Progress, record: Record, stop_point: Callable[[], None]) -> None:
        """Scores the weights on the validation pictures, and keeps them if they are the best so far."""
        overlaps, pooled = [], Pooled()
        for image, truth in self._validation.pictures:
            stop_point()
            found = prediction.picture(self._forward, self._network, image, _TILE)
            found = prediction.resized(found, truth.shape[:2])
            if truth[..., 0].any():  # an empty picture in which nothing is found would have a Dice of 1
                overlaps.append(dice(found[..., 0] > 0.5, truth[..., 0] > 0.5))
            pooled.add(truth, found)
        loss, overlap = pooled.value(self._validation.loss), sum(overlaps) / len(overlaps) if overlaps else None
        record("validation_loss", loss)
        if overlap is not None:
            record("validation_dice", overlap)
        before = [each["validation_loss"] for each in self.validations]
        if not self._judged or not before or loss < min(before):
            self.best = [np.array(weight.numpy()) for weight in self._model.weights]
        self.validations.append(
            {
                "step": progress.step,
                "loss": progress.mean_loss(),
                "validation_loss": loss,
                "validation_dice": overlap,
            }
        )
