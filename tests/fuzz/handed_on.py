"""What stages hand each other in HDF5 files, where no network is involved."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from floodrunner.stages.storage.image_sets import Picture, write_set
from floodrunner.stages.storage.volumes import Place, write_volume
from tests.fuzz.format import Format, Outcome, first_failure, stage
from tests.fuzz.hdf5_edits import edited

_PLACE = Place((8.0, 8.0, 30.0), (0, 0, 4))
_SHAPE = (12, 24, 30)


def tubes() -> np.ndarray:
    """Labels of two objects, (z, y, x) uint32."""
    labels = np.zeros(_SHAPE, np.uint32)
    labels[2:10, 2:11], labels[2:10, 13:22] = 1, 2
    return labels


def write_tissue(folder: Path) -> None:
    """Writes `image.h5` and `labels.h5`."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).normal(0, 10, _SHAPE)
    image = np.clip(np.where(tubes() > 0, 180, 60) + noise, 0, 255).astype(np.uint8)
    write_volume(folder / "image.h5", "image", image, _PLACE)
    write_volume(folder / "labels.h5", "labels", tubes(), _PLACE)
    with h5py.File(folder / "image.h5", "r+") as file:
        file["section_names"] = [f"z{z:03d}.png" for z in range(_SHAPE[0])]


def _make_volume(folder: Path) -> None:
    write_tissue(folder / "tissue")


def _make_partitions(folder: Path) -> None:
    folder = folder / "tissue"
    folder.mkdir(parents=True)
    partitions = np.random.default_rng(1).integers(0, 6, _SHAPE).astype(np.uint8)
    write_volume(folder / "partitions.h5", "partitions", partitions, _PLACE)


def _read_image(folder: Path) -> Outcome:
    image, labels = folder / "image.h5", folder / "labels.h5"
    return first_failure(
        lambda: stage(folder, "statistics", {"volume": image}),
        lambda: stage(folder, "export-stack", {"volume": labels, "image": image}, {"style": "overlay"}),
        lambda: stage(folder / "other", "import-labels", {"stack": labels, "images": image}),
    )


def _read_labels(folder: Path) -> Outcome:
    labels, image = folder / "labels.h5", folder / "image.h5"
    return first_failure(
        lambda: stage(folder, "ffn-partitions", {"labels": labels}, {"lom_radius_xyz": [3, 3, 2], "min_size": 1}),
        lambda: stage(folder, "export-stack", {"volume": labels}),
        lambda: stage(folder, "fill", {"segmentation": labels}, {"max_distance": 40}),
        lambda: stage(folder, "evaluate-volume", {"segmentation": labels, "labels": labels}),
        lambda: stage(folder / "other", "import-labels", {"stack": labels, "images": image}),
    )


def _read_partitions(folder: Path) -> Outcome:
    return stage(folder, "ffn-coordinates", {"partitions": folder / "partitions.h5"}, {"margin_xyz": [4, 4, 3]})


def _make_set(folder: Path) -> None:
    (folder / "set").mkdir(parents=True)
    rng, cells = np.random.default_rng(2), np.zeros((20, 26), np.int32)
    cells[2:9, 3:12], cells[11:17, 14:22] = 1, 2
    pictures = [
        Picture(f"p{k}", rng.integers(0, 255, (20, 26), np.uint8), cells, cells.astype(np.float32) / 2)
        for k in range(3)
    ]
    for name in ("set", "truth"):
        write_set(folder / "set" / f"{name}.h5", pictures)


def _read_set(folder: Path) -> Outcome:
    return first_failure(
        lambda: stage(folder, "evaluate-pictures", {"segmentation": folder / "set.h5", "labels": folder / "truth.h5"}),
        lambda: stage(
            folder / "other", "evaluate-pictures", {"segmentation": folder / "truth.h5", "labels": folder / "set.h5"}
        ),
    )


FORMATS = (
    Format("image", _make_volume, _read_image, "image.h5", edited),
    Format("labels", _make_volume, _read_labels, "labels.h5", edited),
    Format("partitions", _make_partitions, _read_partitions, "partitions.h5", edited),
    Format("image-set", _make_set, _read_set, "set.h5", edited),
)
