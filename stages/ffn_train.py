"""Train a flood-filling network on an image and its labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from stages._contract import Context, InputError
from stages._contract_ffn import Distance, FieldOfView, Size

if TYPE_CHECKING:
    import keras
    import numpy as np
    from tensorboard.summary import Writer

    from segmentation.coordinates import Coordinates
    from segmentation.ffn.network import Network

INPUTS = {"image": "image", "labels": "labels", "coordinates": "table", "statistics": "json"}
OUTPUTS = {"model": "ffn-model"}

STATE_FILE = "training.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0
_LOSS_WINDOW = 100
_PIECE = 2**20


class Params(FieldOfView):
    max_steps: int = Field(1_000_000, ge=1)
    """Steps of gradient descent, counted from the first start of this training."""
    depth: int = Field(9, ge=1)
    """Residual modules of the network, of two convolutions each."""
    features: int = Field(32, ge=1)
    """Channels of each convolution."""
    fov_xyz: tuple[Size, Size, Size] = (33, 33, 17)
    """Field of view, voxels; odd sizes."""
    deltas_xyz: tuple[Distance, Distance, Distance] = (8, 8, 4)
    """How far the field of view moves along each axis, voxels; about a quarter of it."""
    batch_size: int = Field(4, ge=1)
    """Fields of view in a step, each from an example of its own."""
    learning_rate: float = Field(0.001, gt=0, allow_inf_nan=False)
    """Of the Adam optimiser."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Keep the learning rate, or let it fall to 0 at `max_steps` along a cosine."""
    augment: bool = True
    """Reflect examples along x, y, z and swap x with y, at random."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Of the fresh weights and of the order of the examples."""
    checkpoint_steps: int = Field(10_000, ge=1)
    """Keep the weights every so many steps, in `state/checkpoints/`."""


class _Data(NamedTuple):
    image: np.ndarray
    labels: np.ndarray
    coordinates: Coordinates
    mean: float
    stddev: float


def run(params: Params, context: Context) -> None:
    import keras
    import numpy as np

    from segmentation import backend
    from segmentation.coordinates import sample
    from segmentation.ffn import network as ffn
    from segmentation.ffn.training import Examples
    from stages import _state

    network = ffn.Network(params.depth, params.features, params.fov_xyz[::-1], params.deltas_xyz[::-1])
    data = _read(network, context)

    keras.utils.set_random_seed(params.seed)
    model = ffn.build(network)
    optimizer = keras.optimizers.Adam(params.learning_rate)
    examples = Examples(
        data.image,
        data.labels,
        data.mean,
        data.stddev,
        lambda generator, n: sample(data.coordinates, generator, n),
        network.fov,
        network.deltas,
        params.batch_size,
        np.random.default_rng(params.seed),
        augment=params.augment,
    )
    table = data.coordinates
    normalisation = np.array([data.mean, data.stddev])
    identity = _state.fingerprint(data.image, data.labels, normalisation, table.classes, table.starts, table.indices)
    train = backend.training_step(model, optimizer, ffn.loss)
    training = _Training(params, network, model, optimizer, examples, identity, context)
    start = training.resume()
    context.message(f"training on {backend.device()} ({backend.name()}), from step {start} to {params.max_steps}")
    with context.saves_on_stop():
        training.loop(train, start)
    context.progress(params.max_steps, params.max_steps, "steps")


def _read(network: Network, context: Context) -> _Data:
    """Reads the inputs and checks that they fit together, and the network."""
    import numpy as np

    from segmentation.ffn.training import patch_shape
    from stages import _labels, _statistics, _tables, _volumes

    mean, stddev = _statistics.read_statistics(context.inputs["statistics"])
    coordinates = _tables.read_coordinates(context.inputs["coordinates"])
    image, _ = _volumes.read_volume(context.inputs["image"])
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError(
            f"{context.inputs['image']}: holds values that are not numbers (NaN or infinite); "
            "import it with import-images"
        )
    labels, _ = _labels.read_labels(context.inputs["labels"])
    if not image.shape == labels.shape == coordinates.shape:
        raise InputError(
            f"{context.inputs['image']}: {_sizes(image.shape)}, but the labels are {_sizes(labels.shape)} and the "
            f"coordinates were made for {_sizes(coordinates.shape)}; all three must be of one volume"
        )
    patch = patch_shape(network.fov, network.deltas)
    room = _room(coordinates)
    if any(free < size // 2 for free, size in zip(room, patch, strict=True)):
        needed = [size // 2 for size in patch[::-1]]
        raise InputError(
            f"{context.inputs['coordinates']}: positions come within {room[::-1]} voxels (x, y, z) of the border, but "
            f"fov_xyz and deltas_xyz together reach {needed}; set margin_xyz of ffn-coordinates to {needed} or more, "
            "or use a smaller fov_xyz"
        )
    return _Data(image, labels, coordinates, mean, stddev)


def _room(coordinates: Coordinates) -> list[int]:
    """How far the positions stay away from the border of the volume, z, y, x."""
    import numpy as np

    room = list(coordinates.shape)
    # In pieces: unravelled, a table of all voxels would be many times the volume.
    for start in range(0, len(coordinates.indices), _PIECE):
        positions = np.unravel_index(coordinates.indices[start : start + _PIECE], coordinates.shape)
        for axis, (p, n) in enumerate(zip(positions, coordinates.shape, strict=True)):
            room[axis] = min(room[axis], int(p.min()), n - 1 - int(p.max()))
    return room


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape[::-1]) + " voxels (x, y, z)"


class _Training:
    """The loop around the steps: learning rate, reports, checkpoints, and the state to continue from."""

    def __init__(
        self,
        params: Params,
        network: Network,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        examples: Any,
        data: str,
        context: Context,
    ) -> None:
        from stages import _training

        self._params, self._network, self._context = params, network, context
        self._model, self._optimizer, self._examples = model, optimizer, examples
        # Steps and learning rate may change on the way; with any of these it is another training.
        fixed = {"depth", "features", "fov_xyz", "deltas_xyz", "batch_size", "augment", "seed"}
        identity = params.model_dump(mode="json", include=fixed) | {"data": data}
        manner = params.model_dump(mode="json", include={"learning_rate", "schedule"})
        self._saved = _training.Saved(context, STATE_FILE, identity, manner)

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

        from stages import _training

        params, context = self._params, self._context
        losses: deque[float] = deque(maxlen=_LOSS_WINDOW)
        begun = reported = saved = time.monotonic()
        for step in range(start, params.max_steps):
            self._optimizer.learning_rate.assign(self._learning_rate(step))
            given, target = self._examples.batch()
            loss, logits = train(given, target)
            if loss != loss:
                raise _training.diverged(step, params.learning_rate)
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
        from stages import _models

        _models.write_model(folder, self._network, ffn.weights(self._model), step)

    def _learning_rate(self, step: int) -> float:
        from stages import _training

        return _training.learning_rate(self._params.learning_rate, self._params.schedule, step / self._params.max_steps)

    def _variables(self) -> list[Any]:
        return [*self._model.trainable_variables, *self._optimizer.variables]
