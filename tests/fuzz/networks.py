"""What stages with a network read: models, tables of positions, statistics, checkpoints and saved states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.damage import misspelt
from tests.fuzz.format import Format, Outcome, first_failure, stage
from tests.fuzz.handed_on import tubes, write_tissue
from tests.fuzz.hdf5_edits import edited

_SMALL: dict[str, Any] = {"depth": 2, "features": 2, "fov_xyz": [9, 7, 5], "deltas_xyz": [3, 2, 1], "max_steps": 2}
_TRAINED = ("image", "labels", "coordinates")
_MARGIN = (3, 5, 7)


def prepare() -> None:
    """Makes networks that neither learn nor find anything, in no time: only reading is tested."""
    from segmentation import backend

    def training_step(model: Any, optimizer: Any, loss: Any) -> Any:
        optimizer.build(model.trainable_variables)
        return lambda given, target: (1.0, np.zeros_like(target))

    def forward(model: Any) -> Any:
        return lambda given: np.full((*given.shape[:-1], model.output_shape[-1]), 0.5, np.float32)

    backend.training_step, backend.forward = training_step, forward


def _misspell(file: Path, random: Random) -> None:
    file.write_bytes(misspelt(file.read_bytes(), random))


def _change(file: Path, random: Random) -> None:
    """JSON is changed as a text, HDF5 as HDF5."""
    (_misspell if file.suffix == ".json" else edited)(file, random)


def _make_training(folder: Path) -> None:
    from segmentation.ffn.coordinates import coordinates
    from segmentation.ffn.partitions import partition
    from stages.storage.coordinates import write_coordinates

    tissue = folder / "tissue"
    write_tissue(tissue)
    table = coordinates(partition(tubes(), _MARGIN, [0.3, 0.6], min_size=10), _MARGIN)
    write_coordinates(tissue / "coordinates.h5", table, [table.indices])
    (tissue / "statistics.json").write_text(json.dumps({"mean": 120.5, "stddev": 40.25, "minimum": 0, "voxels": 8640}))


def _read_training(folder: Path) -> Outcome:
    inputs = {name: folder / f"{name}.h5" for name in _TRAINED} | {"statistics": folder / "statistics.json"}
    return stage(folder, "ffn-train", inputs, _SMALL)


def _make_ffn(folder: Path) -> None:
    from segmentation.ffn import network as ffn
    from stages.storage.ffn_models import write_model

    spec = ffn.NetworkSpec(2, 2, (5, 7, 9), (1, 2, 3))
    write_tissue(folder / "model")
    write_model(folder / "model" / "model", spec, ffn.weights(ffn.build(spec)), 7)


def _read_ffn(folder: Path) -> Outcome:
    model = folder / "model"
    return first_failure(
        lambda: stage(folder / "export", "ffn-export", {"model": model}),
        lambda: _segmented(folder),
    )


def _segmented(folder: Path) -> Outcome:
    params = {"image_mean": 120.0, "image_stddev": 40.0, "min_segment_size": 1}
    return stage(folder, "ffn-infer", {"image": folder / "image.h5", "model": folder / "model"}, params)


def _make_unet(folder: Path) -> None:
    from segmentation.unet.architectures import architecture_of
    from segmentation.unet.network import NetworkSpec
    from stages.storage.image_sets import Picture, write_set
    from stages.storage.unet_models import write_model

    (folder / "model").mkdir(parents=True)
    spec = NetworkSpec("classic", 1, 2, 2)
    weights = architecture_of(spec).build(spec).get_weights()
    write_model(folder / "model" / "model", spec, weights, {"step": 5, "validation": ["p1"]})
    write_set(folder / "model" / "set.h5", [Picture("p1", np.full((20, 26), 7, np.uint8))])


def _read_unet(folder: Path) -> Outcome:
    return stage(folder, "unet-predict", {"images": folder / "set.h5", "model": folder / "model"}, {"tile": 64})


def _make_checkpoint(folder: Path) -> None:
    from segmentation.ffn import checkpoint
    from segmentation.ffn import network as ffn

    spec = ffn.NetworkSpec(2, 2, (5, 7, 9), (1, 2, 3))
    (folder / "model" / "checkpoint").mkdir(parents=True)
    checkpoint.write(folder / "model" / "checkpoint" / "model.ckpt-7", ffn.weights(ffn.build(spec)), 7)


def _read_checkpoint(folder: Path) -> Outcome:
    params = {"fov_xyz": [9, 7, 5], "deltas_xyz": [3, 2, 1]}
    return stage(folder, "ffn-import", {"checkpoint": folder / "checkpoint"}, params)


def _make_set(folder: Path) -> None:
    from tests.fuzz.handed_on import FORMATS as handed_on

    next(each for each in handed_on if each.name == "image-set").make(folder)


def _read_set(folder: Path) -> Outcome:
    return stage(
        folder, "unet-train", {"training": folder / "set.h5"}, {"depth": 1, "width": 1, "crop": 16, "max_steps": 1}
    )


def _make_states(folder: Path) -> None:
    """Folders as killed runs leave them: the state of a training of each kind, of a segmentation, of a prediction."""
    for name, make, read in (
        ("ffn-train", _make_training, _read_training),
        ("ffn-infer", _make_ffn, _segmented),
        ("unet-train", _make_set, _read_set),
        ("unet-predict", _make_unet, _read_unet),
    ):
        made = folder / ".made"
        make(made)
        next(made.iterdir()).rename(folder / name)
        made.rmdir()
        assert read(folder / name).code == 0
        shutil.rmtree(folder / name / "step" / "partial")
        (folder / name / "stage").write_text(name)


def _read_state(folder: Path) -> Outcome:
    readers = {
        "ffn-train": _read_training,
        "ffn-infer": _segmented,
        "unet-train": _read_set,
        "unet-predict": _read_unet,
    }
    return readers[(folder / "stage").read_text()](folder)


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
