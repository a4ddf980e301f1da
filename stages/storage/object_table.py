"""Writes `objects.csv`, the objects of a volume: size, box, centroid, and where they touch the border of the volume."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from floodrunner.segmentation.objects import FACES, Objects
from floodrunner.stages.storage.volumes import Place

_COLUMNS = (
    *("id", "voxels", "volume_um3", "x_min", "y_min", "z_min", "x_max", "y_max", "z_max"),
    *("centroid_x", "centroid_y", "centroid_z", "centroid_x_um", "centroid_y_um", "centroid_z_um"),
    *(f"voxels_on_face_{face}" for face in reversed(FACES)),
)


def cubic_um(voxels: int, place: Place) -> float | None:
    """The volume of so many voxels in µm³; None if the voxel size is not known."""
    return None if place == Place(offset_xyz=place.offset_xyz) else voxels * math.prod(place.voxel_size_xyz) / 1e9


def write_objects(path: Path, objects: Objects, place: Place) -> None:
    """Writes a row for each object, in ascending order of ids.

    `x_min` to `z_max` are the first and the last voxel of the object (both are part of it), and `centroid_x` to
    `centroid_z` the mean position of its voxels, all in voxels of the whole stack. `centroid_x_um` to `centroid_z_um`
    are the same in µm; they and `volume_um3` are empty if the voxel size is not known. `voxels_on_face_x_max` is the
    number of voxels of the object in the last plane along x of this volume: 0 if the object ends before it.
    """
    known, offset = cubic_um(1, place) is not None, place.offset_xyz
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        for one, voxels, low, high, centroid, border in zip(*(column.tolist() for column in objects), strict=True):
            box = [v + o for end in (low, high) for v, o in zip(reversed(end), offset, strict=True)]
            middle = [v + o for v, o in zip(reversed(centroid), offset, strict=True)]
            um = [v * size / 1000 for v, size in zip(middle, place.voxel_size_xyz, strict=True)]
            volume = cubic_um(voxels, place)
            row = [one, voxels, "" if volume is None else f"{volume:.6g}", *box]
            row += [*(f"{v:.2f}" for v in middle), *(f"{v:.4f}" if known else "" for v in um), *reversed(border)]
            table.writerow(row)
