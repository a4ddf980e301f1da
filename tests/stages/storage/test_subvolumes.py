from __future__ import annotations

from pathlib import Path

from floodrunner.segmentation.ffn.canvas import Attempt
from floodrunner.stages.storage import subvolumes


def test_tables_hold_seeds_in_the_stack_overlaps_and_times(tmp_path: Path) -> None:
    attempts = [
        Attempt((1, 2, 3), 1, 50, 4),
        Attempt((1, 2, 4), 0, 0, 1),
        Attempt((5, 6, 7), 2, 60, 8, ((1, 9),)),
        Attempt((6, 6, 7), 0, 3, 2, ((1, 9), (2, 1))),
        Attempt((8, 8, 8), 3, 70, 5, ((1, 2), (2, 7))),
    ]
    subvolumes.write_tables(tmp_path, attempts, [0.5, 0.1, 2.25, 0.2, 3.0], (10, 20, 30))
    assert (tmp_path / "origins.csv").read_text().split() == [
        "id,seed_x,seed_y,seed_z,voxels,fields_of_view",
        "1,33,22,11,50,4",
        "2,37,26,15,60,8",
        "3,38,28,18,70,5",
    ]
    assert (tmp_path / "overlaps.csv").read_text().split() == ["id,earlier_id,voxels", "2,1,9", "3,1,2", "3,2,7"]
    assert (tmp_path / "times.csv").read_text().split() == ["id,seconds", "1,0.5", "2,2.25", "3,3.0"]
