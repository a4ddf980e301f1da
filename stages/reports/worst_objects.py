"""Finds the worst objects of a segmented volume, and writes `worst.csv`: where to look, and what they cost."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from floodrunner.segmentation.scores.mistakes import Mistake, inside
from floodrunner.segmentation.scores.rand_and_vi import Overlaps

MOST = 100
"""Most rows of the table."""
_MOST_IDS = 20  # in a field of the table
_COLUMNS = "rank kind object_ids truth_ids voxels parts part_voxels bits share_of_vi look_x look_y look_z"

Read = Callable[[slice], tuple[np.ndarray, np.ndarray]]
"""Reads some sections of the segmentation and of the truth."""


class Worst(NamedTuple):
    """A mistake, and a voxel inside it, x, y, z in the whole stack."""

    mistake: Mistake
    xyz: tuple[int, int, int]


def worst(
    ranked: Iterable[Mistake], parts: Sequence[tuple[slice, Overlaps]], read: Read, offset: Sequence[int]
) -> list[Worst]:
    """Finds a voxel to look at for each of the worst mistakes.

    It lies inside the second largest part: what an object joins that it should not, or the piece that is cut off; of an
    unsegmented object, where it is unsegmented. It is in the slab that has most of this part.

    Args:
      ranked: mistakes, the worst first. Inexact borders are left out, and so is what comes after the first `MOST`.
      parts: the slabs, z, and their overlaps.
      offset: of the volume in the whole stack, z, y, x.
    """
    chosen = [mistake for mistake in ranked if mistake.counts][:MOST]
    pairs = [_pair(mistake) for mistake in chosen]
    found: dict[int, tuple[int, int, int]] = {}
    slabs: dict[int, list[int]] = {}
    for number, (segment, truth) in enumerate(pairs):
        voxels = [int(each.voxels[(each.segment == segment) & (each.truth == truth)].sum()) for _, each in parts]
        slabs.setdefault(int(np.argmax(voxels)), []).append(number)
    for at, numbers in sorted(slabs.items()):
        z = parts[at][0]
        segments, truths = read(z)
        for number in numbers:
            segment, truth = pairs[number]
            mask = (segments == segment) & (truths == truth)
            section = int(np.argmax(np.count_nonzero(mask, axis=(1, 2))))
            y, x = inside(mask[section])
            found[number] = (x + offset[2], y + offset[1], section + z.start + offset[0])
    return [Worst(mistake, found[number]) for number, mistake in enumerate(chosen)]


def write_worst(path: Path, rows: Iterable[Worst], total: float) -> None:
    """Writes a row for each mistake, the dearest first.

    Ids and voxels of parts are separated by spaces, the largest first, 20 at most; `parts` is how many there are.

    Args:
      total: the variation of information, bits.
    """
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS.split())
        for rank, (one, xyz) in enumerate(rows, 1):
            alone, parts = str(one.id), " ".join(map(str, one.parts[:_MOST_IDS]))
            ids = (alone, parts) if one.kind == "merge" else (parts, alone)
            sizes = " ".join(map(str, one.part_voxels[:_MOST_IDS]))
            figures = (f"{one.bits:.5f}", f"{one.bits / total if total else 0:.4f}")
            writer.writerow([rank, one.kind, *ids, one.voxels, len(one.parts), sizes, *figures, *xyz])


def _pair(mistake: Mistake) -> tuple[int, int]:
    """The ids of the segmentation and of the truth at the place to look at."""
    if mistake.kind == "merge":
        return mistake.id, mistake.parts[1]
    return (mistake.parts[1] if mistake.kind == "split" else 0), mistake.id
