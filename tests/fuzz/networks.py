"""What stages with a network read: models, tables of positions, statistics, checkpoints and saved states."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from floodrunner.contract.stage import InputError
from tests.fuzz.damage import misspelt
from tests.fuzz.format import Format, Outcome, first_failure, stage
from tests.fuzz.handed_on import write_tissue
from tests.fuzz.hdf5_edits import edited

if TYPE_CHECKING:
    from floodrunner.segmentation.ffn.network import NetworkSpec

_SMALL: dict[str, Any] = {"depth": 2, "features": 2, "fov_xyz": [9, 7, 5], "deltas_xyz": [3, 2, 1], "max_steps": 2}
_TRAINED = ("image", "labels", "coordinates")
_MARGIN = (3, 5, 7)


class _Read(BaseException):
    """A training has read its inputs, and would begin."""


class _Network:
    """Stands for a network: only reading is tested, and TensorFlow must not compute in a process that is forked."""

    output_shape = (3,)

    def get_weights(self) -> list[np.ndarray]:
        return []

    def set_weights(self, weights: list[np.ndarray]) -> None:
        pass


def prepare() -> None:
    """Loads what the stages need, and puts networks that compute nothing in place of real ones."""
    import keras
    import tensorflow  # noqa: F401

    import floodrunner.stages.ffn_import
    import floodrunner.stages.ffn_infer
    import floodrunner.stages.ffn_train
    import floodrunner.stages.resumable.ffn_inference
    import floodrunner.stages.resumable.ffn_training
    import floodrunner.stages.resumable.unet_prediction
    import floodrunner.stages.unet_predict
    import floodrunner.stages.unet_train  # noqa: F401
    from floodrunner.segmentation import backend
    from floodrunner.segmentation.ffn import examples  # noqa: F401
    from floodrunner.segmentation.ffn import network as ffn
    from floodrunner.segmentation.unet.architectures import classic

    def begin(seed: int) -> None:
        raise _Read

    def forward(model: Any) -> Any:
        return lambda given: np.full((*given.shape[:-1], 1 if given.ndim == 5 else 3), 0.5, np.float32)

    keras.utils.set_random_seed = begin
    backend.forward, backend.device, backend.compute_in_single_precision = forward, lambda: "CPU", lambda: None
    ffn.build, ffn.set_weights = lambda network: _Network(), lambda model, weights: None
    classic.build, classic.folded = lambda network: _Network(), lambda network, model: model


def _begun(folder: Path, name: str, inputs: Mapping[str, Path], params: Mapping[str, Any]) -> Outcome:
    """Runs a training until it has read its inputs."""
    try:
        return stage(folder, name, inputs, params)
    except _Read:
        return Outcome(0, "")


def _weights(shapes: Iterable[tuple[int, ...]]) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.random(shape, np.float32) for shape in shapes]


def _ffn_weights(spec: NetworkSpec) -> dict[str, np.ndarray]:
    from floodrunner.segmentation.ffn.network import weight_shapes

    shapes = weight_shapes(spec)
    return dict(zip(shapes, _weights(shapes.values()), strict=True))


def _misspell(file: Path, random: Random) -> None:
    file.write_bytes(misspelt(file.read_bytes(), random))


def _change(file: Path, random: Random) -> None:
    """JSON is changed as a text, HDF5 as HDF5."""
    (_misspell if file.suffix == ".json" else edited)(file, random)


def _make_training(folder: Path) -> None:
    tissue = folder / "tissue"
    write_tissue(tissue)
    params = {"lom_radius_xyz": _MARGIN[::-1], "min_size": 10, "thresholds": [0.3, 0.6]}
    made = stage(folder / ".p", "ffn-partitions", {"labels": tissue / "labels.h5"}, params)
    assert made.code == 0, made
    partitions = {"partitions": folder / ".p" / "step" / "partial" / "volume.h5"}
    made = stage(folder / ".c", "ffn-coordinates", partitions, {"margin_xyz": _MARGIN[::-1]})
    assert made.code == 0, made
    (folder / ".c" / "step" / "partial" / "table.h5").rename(tissue / "coordinates.h5")
    shutil.rmtree(folder / ".p")
    shutil.rmtree(folder / ".c")
    (tissue / "statistics.json").write_text(json.dumps({"mean": 120.5, "stddev": 40.25, "minimum": 0, "voxels": 8640}))


def _read_training(folder: Path) -> Outcome:
    inputs = {name: folder / f"{name}.h5" for name in _TRAINED} | {"statistics": folder / "statistics.json"}
    return first_failure(lambda: _begun(folder, "ffn-train", inputs, _SMALL), lambda: _drawn(inputs["coordinates"]))


def _drawn(path: Path) -> Outcome:
    """Draws positions as a training does."""
    from floodrunner.segmentation.ffn.coordinates import sample
    from floodrunner.stages.storage.coordinates import read_coordinates

    sample(read_coordinates(path), np.random.default_rng(1), 50)
    return Outcome(0, "")


def _make_ffn(folder: Path) -> None:
    from floodrunner.segmentation.ffn.network import NetworkSpec
    from floodrunner.stages.storage.ffn_models import write_model

    spec = NetworkSpec(2, 2, (5, 7, 9), (1, 2, 3))
    write_tissue(folder / "model")
    write_model(folder / "model" / "model", spec, _ffn_weights(spec), 7)


def _read_ffn(folder: Path) -> Outcome:
    params = {"image_mean": 120.0, "image_stddev": 40.0, "min_segment_size": 1}
    return stage(folder, "ffn-infer", {"image": folder / "image.h5", "model": folder / "model"}, params)


def _make_unet(folder: Path) -> None:
    from floodrunner.segmentation.unet.architectures import architecture_of
    from floodrunner.segmentation.unet.network import NetworkSpec
    from floodrunner.stages.storage.image_sets import Picture, write_set
    from floodrunner.stages.storage.unet_models import write_model

    (folder / "model").mkdir(parents=True)
    spec = NetworkSpec("classic", 1, 2, 2)
    weights = _weights(architecture_of(spec).weight_shapes(spec))
    write_model(folder / "model" / "model", spec, weights, {"step": 5, "validation": ["p1"]})
    write_set(folder / "model" / "set.h5", [Picture("p1", np.full((20, 26), 7, np.uint8))])


def _read_unet(folder: Path) -> Outcome:
    return stage(folder, "unet-predict", {"images": folder / "set.h5", "model": folder / "model"}, {"tile": 64})


def _make_checkpoint(folder: Path) -> None:
    from floodrunner.segmentation.ffn import checkpoint
    from floodrunner.segmentation.ffn.network import NetworkSpec

    spec = NetworkSpec(2, 2, (5, 7, 9), (1, 2, 3))
    (folder / "model" / "checkpoint").mkdir(parents=True)
    checkpoint.write(folder / "model" / "checkpoint" / "model.ckpt-7", _ffn_weights(spec), 7)


def _read_checkpoint(folder: Path) -> Outcome:
    params = {"fov_xyz": [9, 7, 5], "deltas_xyz": [3, 2, 1]}
    return stage(folder, "ffn-import", {"checkpoint": folder / "checkpoint"}, params)


def _make_set(folder: Path) -> None:
    from tests.fuzz.handed_on import FORMATS as handed_on

    next(each for each in handed_on if each.name == "image-set").make(folder)


def _read_set(folder: Path) -> Outcome:
    params = {"depth": 1, "width": 1, "crop": 16, "max_steps": 1}
    return _begun(folder, "unet-train", {"training": folder / "set.h5"}, params)


def _make_states(folder: Path) -> None:
    """Folders as killed runs leave them: the state of a training, of a segmentation and of a prediction."""
    for name, make in (("segmentation", _make_ffn), ("prediction", _make_unet)):
        make(folder / ".made")
        (folder / ".made" / "model").rename(folder / name)
        (folder / ".made").rmdir()
        assert _read_state(folder / name).code == 0
        shutil.rmtree(folder / name / "step" / "partial")
    _trained(folder / "training")


def _read_state(folder: Path) -> Outcome:
    if (folder / "set.h5").exists():
        return _read_unet(folder)
    return _read_ffn(folder) if (folder / "model").exists() else _trained(folder)


def _trained(folder: Path) -> Outcome:
    """Continues the training of a stub: everything but the network is as in a real training."""
    from tests.stages.resumable.stub import train

    try:
        events = train(folder / "step" / "state")
    except InputError as error:
        return Outcome(2, str(error))
    return Outcome(0, "", tuple(events.messages()))


FORMATS = (
    Format("coordinates", _make_training, _read_training, "coordinates.h5", edited, network=True),
    Format("statistics", _make_training, _read_training, "statistics.json", _misspell, network=True),
    Format("training-volumes", _make_training, _read_training, "[il]*.h5", edited, network=True),
    Format("training-set", _make_set, _read_set, "set.h5", edited, network=True),
    Format("ffn-model", _make_ffn, _read_ffn, "model/*", _change, network=True),
    Format("unet-model", _make_unet, _read_unet, "model/*", _change, network=True),
    Format("checkpoint", _make_checkpoint, _read_checkpoint, "checkpoint/*", network=True),
    Format("saved-state", _make_states, _read_state, "step/state/*.h5", edited, network=True),
)
