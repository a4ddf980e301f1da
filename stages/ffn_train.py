"""Train a flood-filling network on an image and its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from floodrunner.contract.ffn import Auto, Depth, Distance, Features, FittedFieldOfView, Size
from floodrunner.contract.stage import Context, InputError

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.segmentation.ffn.coordinates import Coordinates
    from floodrunner.segmentation.ffn.fitting import Triple
    from floodrunner.stages.storage.places import Place

INPUTS = {"image": "image", "labels": "labels", "coordinates": "coordinates", "statistics": "statistics"}
OUTPUTS = {"model": "ffn-model"}

# Training continues from a saved state only if the parameters in `_IDENTITY` are unchanged. The parameters in `_MANNER`
# and the number of steps may change from one run to the next.
_IDENTITY = {"depth", "features", "fov_xyz", "deltas_xyz", "batch_size", "augment", "seed"}
_MANNER = {"learning_rate", "schedule"}

_PIECE = 2**20


class Params(FittedFieldOfView):
    max_steps: int = Field(1_000_000, ge=1)
    """Number of training steps (of gradient descent) in total, over all runs of the stage."""
    depth: Depth = 9
    """Number of residual modules of the network, each of two convolutions."""
    features: Features = 32
    """Channels of each convolution."""
    fov_xyz: Auto | tuple[Size, Size, Size] = (33, 33, 17)
    """Size of the field of view, in voxels; all three numbers must be odd. auto: 33 along the axis with the finest
    voxels, as many nm along the others, but at least 17; less in a volume of less than 64 voxels along an axis, or
    where positions come near the border."""
    deltas_xyz: Auto | tuple[Distance, Distance, Distance] = (8, 8, 4)
    """Distance by which the field of view moves along each axis, in voxels; about a quarter of fov_xyz, which auto
    stands for."""
    batch_size: int = Field(4, ge=1)
    """Number of fields of view in each step, each from a different example."""
    learning_rate: float = Field(0.001, gt=0, allow_inf_nan=False)
    """Learning rate of the Adam optimiser."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Keep the learning rate constant, or decrease it along a cosine to 0 at `max_steps`."""
    augment: bool = True
    """Reflect examples along x, y, z and swap x with y, at random."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the random initial weights and of the order of the examples."""
    checkpoint_steps: int = Field(10_000, ge=1)
    """Number of steps from one checkpoint to the next. Checkpoints in `state/checkpoints/` hold the weights."""


class _Data(NamedTuple):
    image: np.ndarray
    labels: np.ndarray
    coordinates: Coordinates
    mean: float
    stddev: float
    fov: Triple
    """Size of the field of view, z, y, x."""
    deltas: Triple
    """Its moves, z, y, x."""


def run(params: Params, context: Context) -> None:
    import keras
    import numpy as np

    from floodrunner.segmentation import backend
    from floodrunner.segmentation.ffn import network as ffn
    from floodrunner.segmentation.ffn.coordinates import sample
    from floodrunner.segmentation.ffn.examples import Examples
    from floodrunner.stages.resumable import state, training
    from floodrunner.stages.resumable.ffn_training import FFNTask

    data = _read(params, context)
    network = ffn.NetworkSpec(params.depth, params.features, data.fov, data.deltas)
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
    fingerprint = state.fingerprint(data.image, data.labels, normalisation, table.classes, table.starts, table.indices)
    train = backend.training_step(model, optimizer, ffn.loss)
    task = FFNTask(network, model, optimizer, train, examples, context.state / "checkpoints", params.checkpoint_steps)
    saved = training.Saved(
        context,
        # The numbers, also where the user wrote auto: who writes them out later continues the same training.
        identity=params.model_dump(mode="json", include=_IDENTITY)
        | {"fov_xyz": [*network.fov[::-1]], "deltas_xyz": [*network.deltas[::-1]], "data": fingerprint},
        manner=params.model_dump(mode="json", include=_MANNER),
    )
    progress = saved.resume(task, params.max_steps)
    where = f"{backend.device()} ({backend.name()})"
    context.message(f"training on {where}, from step {progress.step} to {params.max_steps}")
    schedule = training.Schedule(params.max_steps, params.learning_rate, params.schedule)
    with context.saves_on_stop():
        training.train(task, schedule, progress, saved, context)
    task.write_model(context.outputs["model"], progress.step)


def _read(params: Params, context: Context) -> _Data:
    """Reads the inputs, fits the field of view to them, and checks that they fit each other and it.

    Raises:
      InputError: if they do not fit.
    """
    from floodrunner.segmentation.statistics import moments
    from floodrunner.stages.storage import coordinates as tables
    from floodrunner.stages.storage import grey_levels, statistics, volumes
    from floodrunner.stages.storage.labels import read_labels, slabs

    mean, stddev = statistics.read_statistics(context.inputs["statistics"])
    coordinates = tables.read_coordinates(context.inputs["coordinates"])
    path = context.inputs["image"]
    image, place = volumes.read_volume(path)
    try:
        every, tissue, _ = moments(image[z] for z in slabs(image.shape, 64))
    except ValueError:
        raise InputError(f"{path}: contains NaN or infinite values; import it with import-images") from None
    grey_levels.check_normalisation(path, every, tissue, mean, stddev, context)
    labels, of_labels = read_labels(context.inputs["labels"], context)
    if place.offset != of_labels.offset:
        context.message(
            f"offset_xyz is {list(place.offset_xyz)} in {path}, but {list(of_labels.offset_xyz)} in "
            f"{context.inputs['labels']}; they are laid over each other voxel by voxel, so check that both "
            "show the same part of the tissue"
        )
    check_shapes(path, image.shape, labels.shape, coordinates.shape)
    table = context.inputs["coordinates"]
    fov, deltas = field_of_view(params, coordinates.shape, place, _room(coordinates), table, context)
    return _Data(image, labels, coordinates, mean, stddev, fov, deltas)


def check_shapes(path: str, image: tuple[int, ...], labels: tuple[int, ...], coordinates: tuple[int, ...]) -> None:
    """Raises InputError if image, labels and the volume of the coordinates differ in size, z, y, x."""
    from floodrunner.stages.storage.words import voxels

    if not image == labels == coordinates:
        raise InputError(
            f"{path}: the image is {voxels(image)}, but the labels are {voxels(labels)} and the coordinates were made "
            f"for {voxels(coordinates)}; connect inputs that belong to one volume"
        )


def field_of_view(
    params: Params, shape: tuple[int, ...], place: Place, room: list[int], path: str, context: Context
) -> tuple[Triple, Triple]:
    """Returns the field of view and its moves, z, y, x; says how they were fitted if the user left that to the stage.

    Args:
      shape, place: of the volume.
      room: smallest distance between a position and the border of the volume, z, y, x.
      path: the coordinates, for messages.

    Raises:
      InputError: if the network would reach further than the positions are away from the border.
    """
    from floodrunner.segmentation.ffn import fitting
    from floodrunner.segmentation.ffn.examples import patch_shape

    fov = None if isinstance(params.fov_xyz, str) else params.fov_xyz[::-1]
    deltas = None if isinstance(params.deltas_xyz, str) else params.deltas_xyz[::-1]
    if fov is None or deltas is None:
        try:
            fitted = fitting.field_of_view(shape, place.spacing, room, fov, deltas)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        said = [f"fov_xyz is {fitting.numbers(fitted.fov)}"] * (fov is None)
        said += [f"deltas_xyz is {fitting.numbers(fitted.deltas)}"] * (deltas is None)
        context.message(f"{' and '.join(said)}, because {fitted.because}")
        fov, deltas = fitted.fov, fitted.deltas
    needed = [size // 2 for size in patch_shape(fov, deltas)]
    if any(free < reach for free, reach in zip(room, needed, strict=True)):
        raise InputError(
            f"{path}: positions come within {room[::-1]} voxels (x, y, z) of the border, but fov_xyz and deltas_xyz "
            f"together reach {needed[::-1]}; set margin_xyz of ffn-coordinates to {needed[::-1]} or more, or use a "
            "smaller fov_xyz"
        )
    return fov, deltas


def _room(coordinates: Coordinates) -> list[int]:
    """Returns the smallest distance between a position and the border of the volume, along z, y, x."""
    import numpy as np

    room = list(coordinates.shape)
    # In pieces, because the coordinates of all positions at once may need many times the memory of the volume.
    for start in range(0, len(coordinates.indices), _PIECE):
        positions = np.unravel_index(coordinates.indices[start : start + _PIECE], coordinates.shape)
        for axis, (p, n) in enumerate(zip(positions, coordinates.shape, strict=True)):
            room[axis] = min(room[axis], int(p.min()), n - 1 - int(p.max()))
    return room
