"""What inference leaves beside its segmentation: google/ffn's own files, and tables of what became of each object."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.storage.volumes import Place

if TYPE_CHECKING:
    from segmentation.ffn.canvas import Attempt
    from segmentation.ffn.network import Triple

_LARGE = 2**30  # bytes; an archive may need its 64-bit form from twice that on


def write_subvolume(folder: Path, segmentation: np.ndarray, probability: np.ndarray, place: Place) -> None:
    """The two files that google/ffn's tools read, named by their corner: `segmentation`, and `qprob` in `.prob`.

    Args:
      segmentation: (z, y, x) unsigned integers, 0 = none.
      probability: (z, y, x) uint8, as the canvas has it.
    """
    name = "seg-" + "_".join(str(v) for v in place.offset_xyz)
    smallest = np.min_scalar_type(segmentation.max())  # there as well
    _write_npz(folder / f"{name}.npz", "segmentation", segmentation.astype(smallest))
    _write_npz(folder / f"{name}.prob", "qprob", probability)


def _write_npz(path: Path, name: str, array: np.ndarray) -> None:
    """As `np.savez_compressed` does it, but without the time: the same array makes the same file."""
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED
    large = array.nbytes > _LARGE  # what is not, Python's versions write alike
    with zipfile.ZipFile(path, "w") as archive, archive.open(entry, "w", force_zip64=large) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def write_tables(folder: Path, attempts: Sequence[Attempt], seconds: Sequence[float], origin: Triple) -> None:
    """What google/ffn pickles into its npz as `origins` and `overlaps`, as tables, for each object.

    Times are in a file of their own: all else is the same from run to run.

    Args:
      origin: z, y, x, of the canvas in the whole stack, to which positions in the tables refer.
    """
    objects, overlaps, times = [], [], []
    for attempt, taken in zip(attempts, seconds, strict=True):
        if attempt.id:
            z, y, x = (s + o for s, o in zip(attempt.seed, origin, strict=True))
            objects.append((attempt.id, x, y, z, attempt.voxels, attempt.fovs))
            overlaps += [(attempt.id, *overlap) for overlap in attempt.overlapped]
            times.append((attempt.id, taken))
    _write_csv(folder / "objects.csv", "id seed_x seed_y seed_z voxels fields_of_view", objects)
    _write_csv(folder / "overlaps.csv", "id earlier_id voxels", overlaps)
    _write_csv(folder / "times.csv", "id seconds", times)


def _write_csv(path: Path, columns: str, rows: Sequence[Sequence[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns.split())
        table.writerows(rows)
