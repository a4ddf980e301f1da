"""Writes the files beside a segmentation: those that google/ffn's tools read, and tables of the objects."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from floodrunner.stages.storage.volumes import Place

if TYPE_CHECKING:
    from floodrunner.segmentation.ffn.canvas import Attempt
    from floodrunner.segmentation.ffn.spec import Triple

_LARGE = 2**30  # bytes; larger arrays get the 64-bit form of zip, which is necessary from twice this size


def write_subvolume(folder: Path, segmentation: np.ndarray, probability: np.ndarray, place: Place) -> None:
    """Writes the two files that google/ffn's tools read, named by the corner of the box: `segmentation` in `.npz`, and
    `qprob` in `.prob`.

    Args:
      segmentation: (z, y, x) unsigned integers, 0 = none.
      probability: (z, y, x) uint8, like `Canvas.probability`.
      place: position of the segmentation in the tissue.
    """
    name = "seg-" + "_".join(str(v) for v in place.offset_xyz)
    smallest = np.min_scalar_type(segmentation.max())  # like google/ffn
    _write_npz(folder / f"{name}.npz", "segmentation", segmentation.astype(smallest))
    _write_npz(folder / f"{name}.prob", "qprob", probability)


def _write_npz(path: Path, name: str, array: np.ndarray) -> None:
    """Writes what `np.savez_compressed` would, but without the time of day, so that equal arrays give equal files."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    large = array.nbytes > _LARGE  # only then, because the 64-bit form differs between versions of Python
    with zipfile.ZipFile(path, "w") as archive, archive.open(entry, "w", force_zip64=large) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def write_tables(folder: Path, attempts: Sequence[Attempt], seconds: Sequence[float], origin: Triple) -> None:
    """Writes tables of the objects. They hold what google/ffn stores in its npz file as `origins` and `overlaps`.

    `voxels` is the number when the object was found. The final volume, after `fill`, has a table of its own.

    Times have a file of their own, because everything else is the same from run to run.

    Args:
      attempts: one for each seed that was tried; those that gave no object are left out.
      seconds: how long each attempt took.
      origin: position of the canvas in the whole stack, z, y, x; the tables give positions in the whole stack.
    """
    objects, overlaps, times = [], [], []
    for attempt, taken in zip(attempts, seconds, strict=True):
        if attempt.id:
            z, y, x = (s + o for s, o in zip(attempt.seed, origin, strict=True))
            objects.append((attempt.id, x, y, z, attempt.voxels, attempt.fovs))
            overlaps += [(attempt.id, *overlap) for overlap in attempt.overlapped]
            times.append((attempt.id, taken))
    _write_csv(folder / "origins.csv", "id seed_x seed_y seed_z voxels fields_of_view", objects)
    _write_csv(folder / "overlaps.csv", "id earlier_id voxels", overlaps)
    _write_csv(folder / "times.csv", "id seconds", times)


def _write_csv(path: Path, columns: str, rows: Sequence[Sequence[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns.split())
        table.writerows(rows)
