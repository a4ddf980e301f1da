"""Segment a volume, or a box of it, with a trained flood-filling network."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.segmentation.ffn.spec import NetworkSpec, Triple
    from floodrunner.stages.storage.volumes import Place

INPUTS = {"image": "image", "model": "ffn-model", "statistics": "statistics?"}
OUTPUTS = {"segmentation": "labels"}


Probability = Annotated[float, Field(gt=0, lt=1)]
Distance = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    start: tuple[Distance, Distance, Distance]
    """First voxel, x, y, z."""
    size: tuple[Size, Size, Size]
    """Voxels along x, y, z."""


class Params(StageParams):
    mode: Literal["exact"] = "exact"
    """`exact` grows one object at a time, seed by seed, field of view by field of view, like google/ffn."""
    image_mean: float | None = Field(None, allow_inf_nan=False)
    """Mean of the grey levels. With image_stddev, it replaces the port `statistics`."""
    image_stddev: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the grey levels. With image_mean, it replaces the port `statistics`."""
    box_xyz: Box | None = None
    """Segment only this box, `{start: [x, y, z], size: [x, y, z]}`. By default, the whole volume."""
    reflect_border: bool = True
    """Extend the volume by reflection, so that the field of view can be centred on voxels near the border. If false, as
    in google/ffn, voxels within half a field of view of the border are reached only by fields of view that are centred
    further inside."""
    init_activation: Probability = 0.95
    """Activation of the seed voxel at the start. An activation is the probability that a voxel belongs to the
    object."""
    pad_value: Probability = 0.05
    """Activation of voxels that no field of view has covered yet."""
    move_threshold: Probability = 0.9
    """The field of view moves to voxels of this activation or more."""
    segment_threshold: Probability = 0.6
    """Voxels of this activation or more belong to the object."""
    min_boundary_dist_xyz: tuple[Distance, Distance, Distance] = (1, 1, 1)
    """Seeds within this distance of an earlier object, in voxels, are skipped."""
    min_segment_size: int = Field(1000, ge=1)
    """Number of voxels of the smallest object; smaller objects are discarded."""
    disco_seed_threshold: float = Field(0.0, allow_inf_nan=False)
    """If more than this share of a field of view reaches `move_threshold`, activations below 0.5 in it cannot increase.
    This keeps neighbouring objects apart. -1 switches this off."""

    @model_validator(mode="after")
    def _seeds_may_move(self) -> Self:
        if self.init_activation < self.move_threshold:
            raise ValueError(
                f"init_activation {self.init_activation} is below move_threshold {self.move_threshold}, so no "
                "object would grow; raise init_activation, or lower move_threshold"
            )
        return self

    def check_ports(self, connected: Collection[str]) -> None:
        given = self.image_mean is not None and self.image_stddev is not None
        if not given and (self.image_mean is not None or self.image_stddev is not None):
            raise ValueError("image_mean and image_stddev go together; give both, or connect statistics")
        if given and "statistics" in connected:
            raise ValueError(
                "image_mean and image_stddev are given, but statistics is connected too; remove the two parameters or "
                "the connection"
            )
        if not given and "statistics" not in connected:
            raise ValueError(
                "no normalisation of the image was given; connect statistics, or give image_mean and image_stddev"
            )


class _Data(NamedTuple):
    image: np.ndarray
    """(z, y, x) float32, normalised: the box, and around it half a field of view, real or reflected."""
    box: tuple[slice, ...]
    """Where the box to segment lies in `image`."""
    place: Place
    """Where the box lies in the tissue."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation import backend
    from floodrunner.segmentation.ffn import canvas as ffn
    from floodrunner.segmentation.ffn.seeds import peaks
    from floodrunner.stages.resumable import state
    from floodrunner.stages.resumable.ffn_inference import STATE_FILE, Inference
    from floodrunner.stages.storage import ffn_models, subvolumes, volumes, words

    network, model = ffn_models.read_model(context.inputs["model"])
    data = _read(params, network, context)
    context.message(f"looking for seeds in {words.voxels(data.image.shape)}")
    seeds = peaks(data.image)
    options = ffn.Options(
        init_activation=params.init_activation,
        pad_value=params.pad_value,
        move_threshold=params.move_threshold,
        segment_threshold=params.segment_threshold,
        min_boundary_dist=params.min_boundary_dist_xyz[::-1],
        min_segment_size=params.min_segment_size,
        disco_seed_threshold=params.disco_seed_threshold,
    )
    context.message(f"segmenting on {backend.device()} ({backend.name()}), {len(seeds)} seeds")
    backend.compute_in_single_precision()
    identity = {
        "params": params.model_dump(mode="json"),
        "network": list(map(str, network)),
        "data": state.fingerprint(data.image, *model.get_weights()),
    }
    work = Inference(identity, seeds, data.image[data.box].size, context)
    forward = work.counted(backend.forward(model))
    canvas = ffn.Canvas(data.image, forward, network.fov, network.deltas, options, data.box)
    with context.saves_on_stop():
        work.flood(canvas)

    segmentation = np.maximum(canvas.segmentation[data.box], 0).astype(np.uint32)
    if not segmentation.any():
        context.message(
            f"no object of {params.min_segment_size} voxels or more was found; train longer, or lower min_segment_size"
        )
    volumes.write_volume(context.outputs["segmentation"], "segmentation", segmentation, data.place)
    subvolumes.write_subvolume(context.output_folder, segmentation, canvas.probability[data.box], data.place)
    origin: Triple = tuple(o - b.start for o, b in zip(data.place.offset, data.box, strict=True))  # type: ignore[assignment]
    subvolumes.write_tables(context.output_folder, work.attempts, work.seconds, origin)
    context.artifact(
        context.output_folder / "origins.csv", "the seed of each object, and its voxels before any filling"
    )
    context.metric("objects", canvas.max_id)
    context.metric("segmented", round(float((segmentation > 0).mean()), 4))
    context.spent(context.state / STATE_FILE)  # no longer needed: the outputs hold everything in it


def _read(params: Params, network: NetworkSpec, context: Context) -> _Data:
    """Reads the box and half a field of view around it, reflected where the volume ends."""
    import numpy as np

    from floodrunner.segmentation.statistics import moments
    from floodrunner.stages.storage import grey_levels, statistics, volumes

    path = context.inputs["image"]
    if params.image_mean is not None and params.image_stddev is not None:
        mean, stddev = params.image_mean, params.image_stddev
    else:
        mean, stddev = statistics.read_statistics(context.inputs["statistics"])
    half: Triple = tuple(n // 2 for n in network.fov)  # type: ignore[assignment]  # three of them
    with volumes.open_volume(path) as dataset:
        dataset.announce(context)
        start, size = box_of(params.box_xyz, dataset.shape, path)
        check_size(params, network.fov, dataset.shape, size, path)
        rim = half if params.reflect_border else (0, 0, 0)
        low = [max(s - r, 0) for s, r in zip(start, rim, strict=True)]
        high = [min(s + n + r, end) for s, n, r, end in zip(start, size, rim, dataset.shape, strict=True)]
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        image = dataset[part].astype(np.float32)
    try:
        every, tissue, _ = moments(image[:, None])
    except ValueError:
        raise InputError(f"{path}: contains NaN or infinite values; import it with import-images") from None
    grey_levels.check_normalisation(path, every, tissue, mean, stddev, context, box=params.box_xyz is not None)
    missing = [(r - (s - a), r - (b - s - n)) for r, s, n, a, b in zip(rim, start, size, low, high, strict=True)]
    image = np.pad(image, missing, mode="reflect")
    image -= np.float32(mean)
    image /= np.float32(stddev)
    box = tuple(slice(r, r + n) for r, n in zip(rim, size, strict=True))
    return _Data(image, box, dataset.place.shifted(start))


def check_size(params: Params, fov: Triple, shape: Triple, size: Triple, path: str) -> None:
    """Checks that a field of view fits into the volume, or into the box if nothing is reflected.

    Args:
      fov, shape, size: of the field of view, the volume and the box, z, y, x.
      path: the volume, for the message.

    Raises:
      InputError: if it does not.
    """
    from floodrunner.stages.storage import words

    # Reflection repeats the voxels inside the border, so the volume must be longer than the reflected part.
    smallest = [n // 2 + 1 for n in fov] if params.reflect_border else list(fov)
    available = shape if params.reflect_border else size
    if any(n < least for n, least in zip(available, smallest, strict=True)):
        raise InputError(
            f"{path}: {words.voxels(available)} is too small for the network's field of view of "
            f"{words.voxels(fov)}; at least {words.voxels(smallest)} are needed"
            + ("" if params.reflect_border else ", fewer with reflect_border: true")
        )


def box_of(box: Box | None, shape: tuple[int, ...], path: str) -> tuple[Triple, Triple]:
    """Returns the start and the size of the box to segment, both z, y, x. Raises InputError if it leaves the volume."""
    from floodrunner.stages.storage import words

    if box is None:
        return (0, 0, 0), (shape[0], shape[1], shape[2])
    start, size = box.start[::-1], box.size[::-1]
    if any(s + n > end for s, n, end in zip(start, size, shape, strict=True)):
        raise InputError(
            f"box_xyz: start {list(box.start)}, size {list(box.size)} does not lie inside {path}, which has "
            f"{words.voxels(shape)}; start + size must not exceed the size of the volume"
        )
    return start, size
