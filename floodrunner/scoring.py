"""Scores a segmentation against the truth: the same figures, mistakes and sentences as the stages `evaluate-...`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from floodrunner.contract.ports import is_hdf5, split_dataset
from floodrunner.contract.stage import InputError
from floodrunner.in_process import steps
from floodrunner.reading import Picture, Volume, volume_of
from floodrunner.segmentation.scores.rand_and_vi import Score
from floodrunner.stages.storage.image_sets import write_set
from floodrunner.stages.storage.volumes import write_volume

Labels = np.ndarray | Volume | str | os.PathLike[str]


@dataclass(frozen=True)
class VolumeScores:
    """Agreement of a segmented volume with the truth. Voxels where the truth is 0 do not count.

    Attributes:
      unsegmented_as_background: voxels where the segmentation is 0 count as one more segment.
      unsegmented_ignored: voxels where the segmentation is 0 are left out.
      objects, truth_objects: their numbers.
      truth_voxels, truth_voxels_unsegmented: voxels with truth, and those of them where the segmentation is 0.
      worst: the merges, splits and misses that cost most: a row each, like `worst.csv`, with ids, bits, and a voxel to
        look at (look_x, look_y, look_z).
      sentences: what is wrong, in words.
    """

    unsegmented_as_background: Score
    unsegmented_ignored: Score
    objects: int
    truth_objects: int
    truth_voxels: int
    truth_voxels_unsegmented: int
    worst: list[dict[str, Any]]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class PictureScores:
    """Agreement of cells in pictures with the truth. Scores are means over the pictures that have cells in the truth.

    Attributes:
      pictures: number of pictures.
      dice, iou: of the pixels of all cells; None if the truth has no cell.
      average_precision: threshold of intersection over union ("0.50" to "0.95") -> TP / (TP + FP + FN) of cells.
      mean_average_precision: the mean of these.
      count_error: |found - truth| / truth.
      cells, truth_cells: their numbers.
      table: a row for each picture, like `pictures.csv`: scores, and what became of the cells (found, merged ...).
      sentences: what is wrong, in words.
    """

    pictures: int
    dice: float | None
    iou: float | None
    average_precision: dict[str, float] | None
    mean_average_precision: float | None
    count_error: float | None
    cells: int
    truth_cells: int
    table: list[dict[str, Any]]
    sentences: tuple[str, ...]


def scores(
    segmentation: Labels, truth: Labels, *, what: Literal["neurons", "cells", "objects"] = "objects"
) -> VolumeScores:
    """Scores a segmented volume: adapted Rand error, variation of information, and the worst mistakes.

    Args:
      segmentation, truth: (z, y, x) integers, one id per object, 0 = none; or the path of such a volume. If the
        segmentation is a `Volume` with an offset, it is compared with this part of the truth.
      what: what the sentences call the objects of the truth.

    Raises:
      InputError: if one is no volume of labels, or the segmentation does not lie inside the truth.
    """
    with steps({"score": "evaluate-volume"}, quiet=True) as at_work:
        inputs = {
            port: _labels_file(given, name, at_work.folder)
            for port, name, given in (("segmentation", "segmentation", segmentation), ("labels", "truth", truth))
        }
        done = at_work.run("score", "evaluate-volume", inputs, {"what": what})
        found = done.json("metrics")
        for name in ("unsegmented_as_background", "unsegmented_ignored"):
            found[name] = Score(**found[name])
        return VolumeScores(**found, worst=done.table("worst.csv"), sentences=done.conclusions)


def cell_scores(
    found: np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray],
    truth: np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray],
) -> PictureScores:
    """Scores the cells in pictures: Dice coefficient, average precision, count error, and what became of the cells.

    Args:
      found, truth: labels (y, x), integers, an id for each cell, 0 = none: of one picture, or of several in the same
        order, or by name.

    Raises:
      InputError: if there are not as many, or they differ in size, or are no labels.
    """
    ours, theirs = _named(found, "found"), _named(truth, "truth")
    if ours.keys() != theirs.keys():
        raise InputError(
            f"cell_scores: {len(ours)} pictures were found in, {len(theirs)} have truth; give the same ones"
        )
    with steps({"score": "evaluate-pictures"}, quiet=True) as at_work:
        inputs = {}
        for port, name, given in (("segmentation", "found", ours), ("labels", "truth", theirs)):
            inputs[port] = at_work.folder / f"{name}.h5"
            write_set(inputs[port], [_picture(each, labels, name) for each, labels in given.items()])
        done = at_work.run("score", "evaluate-pictures", inputs, {})
        report = {name: value for name, value in done.json("metrics").items() if name in PictureScores.__annotations__}
        return PictureScores(**report, table=done.table("pictures.csv"), sentences=done.conclusions)


def _labels_file(given: Labels, name: str, folder: Path) -> Path | str:
    """The file of a volume, which is written if it is none yet."""
    if isinstance(given, str | os.PathLike) and is_hdf5(split_dataset(os.fspath(given))[0]):
        return os.path.abspath(given)
    volume = volume_of(given, name, None)
    if volume.array.dtype.kind not in "ui":
        raise InputError(f"{name}: is {volume.array.dtype}, not integer labels (0 = none)")
    file = folder / f"{name}.h5"
    write_volume(file, "labels", volume.array, volume.place)
    return file


def _named(given: np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray], name: str) -> Mapping[str, np.ndarray]:
    if isinstance(given, Mapping):
        return given
    several = [given] if isinstance(given, np.ndarray) and given.ndim == 2 else list(given)
    if not several:
        raise InputError(f"cell_scores: {name}: there are no pictures")
    return {f"picture {number:04d}": labels for number, labels in enumerate(several)}


def _picture(name: str, labels: np.ndarray, which: str) -> Picture:
    array = np.asarray(labels)
    if array.ndim != 2 or array.dtype.kind not in "ui" or not array.size:
        raise InputError(f"{which}: {name} is {array.dtype} {array.shape}; labels are whole numbers (y, x)")
    if array.min() < 0 or array.max() >= 2**31:
        raise InputError(
            f"{which}: {name} has labels from {array.min()} to {array.max()}; labels are 0 (none) or ids of at most 31 "
            "bits: renumber them"
        )
    return Picture(name, np.zeros(array.shape, np.uint8), array)
