from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from floodrunner.segmentation.objects import Measuring, Objects
from floodrunner.stages.storage.object_table import write_objects
from floodrunner.stages.storage.volumes import Place


def objects() -> Objects:
    """A box of 4 x 3 x 2 voxels, x, y, z, in a volume of 8 x 5 x 3, and one voxel in a corner of it."""
    labels = np.zeros((3, 5, 8), np.uint64)
    labels[1:3, 1:4, 2:6] = 2**63 + 7
    labels[0, 0, 7] = 4
    measuring = Measuring(labels.shape, labels.dtype)
    measuring.add(labels, 0)
    return measuring.result()


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_positions_are_x_y_z_in_the_whole_stack_and_in_um(tmp_path: Path) -> None:
    write_objects(tmp_path / "o.csv", objects(), Place((4.0, 8.0, 30.0), (100, 200, 300)))
    corner, box = rows(tmp_path / "o.csv")
    assert box == {
        "id": str(2**63 + 7), "voxels": "24", "volume_um3": "2.304e-05",
        "x_min": "102", "y_min": "201", "z_min": "301", "x_max": "105", "y_max": "203", "z_max": "302",
        "centroid_x": "103.50", "centroid_y": "202.00", "centroid_z": "301.50",
        "centroid_x_um": "0.4140", "centroid_y_um": "1.6160", "centroid_z_um": "9.0450",
        "voxels_on_face_x_max": "0", "voxels_on_face_x_min": "0", "voxels_on_face_y_max": "0",
        "voxels_on_face_y_min": "0", "voxels_on_face_z_max": "12", "voxels_on_face_z_min": "0",
    }  # fmt: skip
    touched = {name for name, value in corner.items() if name.startswith("voxels_on_face") and value != "0"}
    assert touched == {"voxels_on_face_x_max", "voxels_on_face_y_min", "voxels_on_face_z_min"}


def test_without_a_voxel_size_nothing_is_in_um(tmp_path: Path) -> None:
    write_objects(tmp_path / "o.csv", objects(), Place(offset_xyz=(1, 2, 3)))
    for row in rows(tmp_path / "o.csv"):
        assert {name for name, value in row.items() if not value} == {
            "volume_um3", "centroid_x_um", "centroid_y_um", "centroid_z_um"
        }  # fmt: skip
