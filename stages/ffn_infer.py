"""Segment a volume, or a box of it, with a trained flood-filling network."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stages._contract import Context, InputError, StageParams

if TYPE_CHECKING:
    import keras
    import numpy as np

    from segmentation.ffn.canvas import Attempt, Canvas
    from segmentation.ffn.network import Network, Triple
    from stages._volumes import Place

INPUTS = {"image": "image", "model": "ffn-model", "statistics": "json?"}
OUTPUTS = {"segmentation": "labels"}

STATE_FILE = "inference.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0

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
    """`exact` grows one object at a time, seed by seed, field of view by field of view, as google/ffn does."""
    image_mean: float | None = Field(None, allow_inf_nan=False)
    """Of the grey levels; in place of the port `statistics`, with image_stddev."""
    image_stddev: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the grey levels."""
    box_xyz: Box | None = None
    """Segment only this box, `{start: [x, y, z], size: [x, y, z]}`; all of the volume without it."""
    reflect_border: bool = True
    """Extend the volume by reflection, so that the field of view can be centred up to its border. Without it, and in
    google/ffn, what lies within half a field of view of the border is only reached from further inside."""
    init_activation: Probability = 0.95
    """Activation of the seed voxel."""
    pad_value: Probability = 0.05
    """Activation of voxels that no field of view has covered yet."""
    move_threshold: Probability = 0.9
    """The field of view moves to voxels of this activation or more."""
    segment_threshold: Probability = 0.6
    """Voxels of this activation or more belong to the object."""
    min_boundary_dist_xyz: tuple[Distance, Distance, Distance] = (1, 1, 1)
    """A seed this close to an earlier object is left out, voxels."""
    min_segment_size: int = Field(1000, ge=1)
    """Smallest object, voxels."""
    disco_seed_threshold: float = Field(0.0, allow_inf_nan=False)
    """Where more than this share of a field of view is above `move_threshold`, voxels that were below 0.5 cannot
    rise again, which keeps neighbours apart; -1 switches that off."""

    @model_validator(mode="after")
    def _seeds_may_move(self) -> Self:
        if self.init_activation < self.move_threshold:
            raise ValueError(
                f"init_activation {self.init_activation} is below move_threshold {self.move_threshold}, so no seed "
                "would be started; raise the one or lower the other"
            )
        return self

    def check_ports(self, connected: Collection[str]) -> None:
        given = self.image_mean is not None and self.image_stddev is not None
        if not given and (self.image_mean is not None or self.image_stddev is not None):
            raise ValueError("image_mean and image_stddev go together; give both, or connect statistics")
        if given and "statistics" in connected:
            raise ValueError("has image_mean and image_stddev, and statistics is connected; remove one or the other")
        if not given and "statistics" not in connected:
            raise ValueError(
                "how to normalise the image is not said; connect statistics, or give image_mean and image_stddev"
            )


class _Data(NamedTuple):
    image: np.ndarray
    """Normalised; the box and what of its surroundings the field of view can see, real or reflected."""
    box: tuple[slice, ...]
    """Of what is to be segmented, in `image`."""
    place: Place
    """Of the box in the tissue."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from segmentation import backend
    from segmentation.ffn import canvas as ffn
    from segmentation.ffn.seeds import peaks
    from stages import _ffn_files, _models, _volumes

    network, model = _models.read_model(context.inputs["model"])
    data = _read(params, network, context)
    context.message(f"looking for seeds in {_sizes(data.image.shape)}")
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
    work = _Inference(params, network, model, data, seeds, context)
    forward = work.counted(backend.forward(model))
    canvas = ffn.Canvas(data.image, forward, network.fov, network.deltas, options, data.box)
    with context.saves_on_stop():
        work.flood(canvas)

    segmentation = np.maximum(canvas.segmentation[data.box], 0).astype(np.uint32)
    if not segmentation.any():
        context.message(
            f"no object of {params.min_segment_size} voxels or more was found; train longer, or lower min_segment_size"
        )
    _volumes.write_volume(context.outputs["segmentation"], "segmentation", segmentation, data.place)
    _ffn_files.write_subvolume(context.output_folder, segmentation, canvas.probability[data.box], data.place)
    origin: Triple = tuple(o - b.start for o, b in zip(data.place.offset, data.box, strict=True))  # type: ignore[assignment]
    _ffn_files.write_tables(context.output_folder, work.attempts, work.seconds, origin)
    context.artifact(context.output_folder / "objects.csv", "each object: seed, voxels, fields of view")
    context.metric("objects", canvas.max_id)
    context.metric("segmented", round(float((segmentation > 0).mean()), 4))
    context.spent(context.state / STATE_FILE)  # all that it holds is in the result now


class _Inference:
    """The loop over the seeds: progress, and the state to continue from."""

    def __init__(
        self, params: Params, network: Network, model: keras.Model, data: _Data, seeds: np.ndarray, context: Context
    ) -> None:
        from stages import _state

        self.attempts: list[Attempt] = []
        self.seconds: list[float] = []
        """How long each attempt took, in all tries of this step."""
        self._context, self._seeds = context, seeds
        self._next = self._settled = 0
        self._claimed, self._voxels = 0, data.image[data.box].size
        self._fovs = 0
        self._begun = self._saved = self._reported = self._attempt_begun = time.monotonic()
        self._save_interval: float = _SAVE_INTERVAL_S
        self._identity = {
            "params": params.model_dump(mode="json"),
            "network": list(map(str, network)),
            "data": _state.fingerprint(data.image, *model.get_weights()),
            "program": context.program,
        }

    def counted(self, forward: Any) -> Any:
        """The network call, counted; and the place where the state is saved, and where a stop may leave."""

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
        self._save(canvas)  # what follows may fail, on a full disk for one

    def _report(self) -> None:
        now = time.monotonic()
        tried, total = self._next, len(self._seeds)
        if now - self._reported < _REPORT_INTERVAL_S and tried < total:
            return
        self._reported = now
        self._context.metric("objects", self._canvas.max_id, step=tried)
        self._context.metric("share claimed", round(self._claimed / self._voxels, 4), step=tried)
        self._context.metric("fields of view per s", round(self._fovs / max(now - self._begun, 1e-3), 1), step=tried)
        # Seeds that an object has reached cost nothing more: counted with those tried, they tell the time that is left.
        # An object may come to nothing in the end, but progress is not taken back.
        self._settled = max(self._settled, tried + self._canvas.settled(self._seeds[tried:]))
        self._context.progress(self._settled, total, "seeds")

    def _resume(self, canvas: Canvas) -> None:
        from segmentation.ffn.canvas import Attempt
        from stages import _state

        saved = _state.load(self._context.state / STATE_FILE)
        if saved is None:
            return
        arrays, values = saved
        if values["identity"] != self._identity:
            aside = _state.set_aside(self._context.state)
            self._context.message(f"the saved state is of another segmentation: kept in state/{aside.name}")
            return
        canvas.restore(arrays, values["canvas"])
        self._next, self.seconds = values["next"], values["seconds"]
        self.attempts = [
            Attempt(**each | {"seed": tuple(each["seed"]), "overlapped": tuple(map(tuple, each["overlapped"]))})
            for each in values["attempts"]
        ]
        self._claimed = sum(attempt.voxels for attempt in self.attempts if attempt.id)
        self._attempt_begun = time.monotonic() - values["attempt_seconds"]
        self._context.message(f"continuing at seed {self._next} of {len(self._seeds)}, {canvas.max_id} objects")

    def _save(self, canvas: Canvas) -> None:
        from stages import _state

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
        _state.save(self._context.state / STATE_FILE, arrays, values)
        self._saved = time.monotonic()
        self._save_interval = max(_SAVE_INTERVAL_S, 20 * (self._saved - begun))  # at most a twentieth of the time


def _read(params: Params, network: Network, context: Context) -> _Data:
    """Reads the box with as much around it as the field of view can see, reflected where the volume ends."""
    import numpy as np

    from stages import _statistics, _volumes

    path = context.inputs["image"]
    if params.image_mean is not None and params.image_stddev is not None:
        mean, stddev = params.image_mean, params.image_stddev
    else:
        mean, stddev = _statistics.read_statistics(context.inputs["statistics"])
    half: Triple = tuple(n // 2 for n in network.fov)  # type: ignore[assignment]  # three of them
    with _volumes.open_volume(path) as (dataset, place):
        start, size = _box(params.box_xyz, dataset.shape, path)
        # Reflection repeats what is inside the border, so it cannot reach further than the volume is deep.
        smallest = [h + 1 for h in half] if params.reflect_border else list(network.fov)
        available = dataset.shape if params.reflect_border else size
        if any(n < least for n, least in zip(available, smallest, strict=True)):
            raise InputError(
                f"{path}: {_sizes(available)} is too small for the network's field of view of {_sizes(network.fov)}; "
                f"at least {_sizes(smallest)} are needed"
                + ("" if params.reflect_border else ", fewer with reflect_border: true")
            )
        rim = half if params.reflect_border else (0, 0, 0)
        low = [max(s - r, 0) for s, r in zip(start, rim, strict=True)]
        high = [min(s + n + r, end) for s, n, r, end in zip(start, size, rim, dataset.shape, strict=True)]
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        image = _volumes.read_part(path, dataset, *part).astype(np.float32)
    if not np.isfinite(image).all():
        raise InputError(f"{path}: holds values that are not numbers (NaN or infinite); import it with import-images")
    missing = [(r - (s - a), r - (b - s - n)) for r, s, n, a, b in zip(rim, start, size, low, high, strict=True)]
    image = np.pad(image, missing, mode="reflect")
    image -= np.float32(mean)
    image /= np.float32(stddev)
    box = tuple(slice(r, r + n) for r, n in zip(rim, size, strict=True))
    return _Data(image, box, place.shifted(start))


def _box(box: Box | None, shape: tuple[int, ...], path: str) -> tuple[Triple, Triple]:
    """Start and size, z, y, x."""
    if box is None:
        return (0, 0, 0), (shape[0], shape[1], shape[2])
    start, size = box.start[::-1], box.size[::-1]
    if any(s + n > end for s, n, end in zip(start, size, shape, strict=True)):
        raise InputError(
            f"box_xyz: start {list(box.start)}, size {list(box.size)} does not lie inside {path}, which has "
            f"{_sizes(shape)}; start + size must not pass that"
        )
    return start, size


def _sizes(shape: Any) -> str:
    return " x ".join(str(n) for n in shape[::-1]) + " voxels (x, y, z)"
