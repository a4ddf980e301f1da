"""Train a flood-filling network on an image and its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from contract.ffn import Distance, FieldOfView, Size
from contract.stage import Context, InputError

if TYPE_CHECKING:
    import numpy as np

    from segmentation.ffn.coordinates import Coordinates
    from segmentation.ffn.network import Network

INPUTS = {"image": "image", "labels": "labels", "coordinates": "coordinates", "statistics": "statistics"}
OUTPUTS = {"model": "ffn-model"}

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
    from segmentation.ffn import network as ffn
    from segmentation.ffn.coordinates import sample
    from segmentation.ffn.examples import Examples
    from stages.resumable import state
    from stages.resumable.ffn_training import Training

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
    identity = state.fingerprint(data.image, data.labels, normalisation, table.classes, table.starts, table.indices)
    train = backend.training_step(model, optimizer, ffn.loss)
    training = Training(params, network, model, optimizer, examples, identity, context)
    start = training.resume()
    context.message(f"training on {backend.device()} ({backend.name()}), from step {start} to {params.max_steps}")
    with context.saves_on_stop():
        training.loop(train, start)
    context.progress(params.max_steps, params.max_steps, "steps")


def _read(network: Network, context: Context) -> _Data:
    """Reads the inputs and checks that they fit together, and the network."""
    import numpy as np

    from segmentation.ffn.examples import patch_shape
    from stages.storage import coordinates as tables
    from stages.storage import statistics, volumes
    from stages.storage.labels import read_labels
    from stages.storage.words import voxels

    mean, stddev = statistics.read_statistics(context.inputs["statistics"])
    coordinates = tables.read_coordinates(context.inputs["coordinates"])
    image, _ = volumes.read_volume(context.inputs["image"])
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError(
            f"{context.inputs['image']}: holds values that are not numbers (NaN or infinite); "
            "import it with import-images"
        )
    labels, _ = read_labels(context.inputs["labels"])
    if not image.shape == labels.shape == coordinates.shape:
        raise InputError(
            f"{context.inputs['image']}: {voxels(image.shape)}, but the labels are {voxels(labels.shape)} and the "
            f"coordinates were made for {voxels(coordinates.shape)}; all three must be of one volume"
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
