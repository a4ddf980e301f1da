"""What a flood-filling network adds to the training loop in `training.py`: fields of view that move, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodrunner.segmentation.ffn import network as ffn
from floodrunner.stages.storage import ffn_models

if TYPE_CHECKING:
    import keras
    import numpy as np

    from floodrunner.segmentation.ffn.examples import Examples
    from floodrunner.stages.resumable.training import Progress, Record


class FFNTask:
    """Training of a flood-filling network, a `training.Task`.

    Args:
      train: the compiled training step, (input, target) -> (loss, logits).
      checkpoints: folder where the weights are saved after every `checkpoint_steps` steps.
    """

    def __init__(
        self,
        network: ffn.NetworkSpec,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        train: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]],
        examples: Examples,
        checkpoints: Path,
        checkpoint_steps: int,
    ) -> None:
        self.variables = [*model.variables, *optimizer.variables]
        self.learning_rate = optimizer.learning_rate
        self._network, self._model, self._train, self._examples = network, model, train, examples
        self._checkpoints, self._checkpoint_steps = checkpoints, checkpoint_steps

    def step(self) -> float:
        loss, logits = self._train(*self._examples.batch())
        self._examples.update(logits)
        return loss

    def between_steps(self, progress: Progress, ending: bool, record: Record, stop_point: Callable[[], None]) -> bool:
        if progress.step and progress.step % self._checkpoint_steps == 0:
            self.write_model(self._checkpoints / f"step-{progress.step:08d}", progress.step)
        return False

    def enough(self) -> bool:
        return False

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        examples = self._examples.state()
        return {"masks": examples.pop("masks")}, {"examples": examples}

    def restore(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        self._examples.restore(values["examples"] | {"masks": arrays["masks"]})

    def write_model(self, folder: Path, step: int) -> None:
        ffn_models.write_model(folder, self._network, ffn.weights(self._model), step)
