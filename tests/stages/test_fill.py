from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from contract.stage import InputError
from segmentation.fill import fill
from stages import fill as stage
from stages.storage.volumes import Place, read_volume, write_volume

PLACE = Place((4.0, 4.0, 30.0), (7, 8, 9))


@pytest.fixture
def segmentation() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.where(rng.random((40, 20, 21)) < 0.002, rng.integers(1, 2**40, (40, 20, 21)), 0).astype(np.uint64)


def test_slab_by_slab_equals_the_whole_in_the_same_place(
    run_stage, tmp_path: Path, segmentation: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "_SLAB_VOXELS", 1)  # the least: 16 sections
    write_volume(tmp_path / "s.h5", "segmentation", segmentation, PLACE)
    result = run_stage("fill", {"segmentation": tmp_path / "s.h5"}, max_distance=70)
    with h5py.File(result["segmentation"]) as file:
        assert list(file) == ["segmentation"]
    filled, place = read_volume(result["segmentation"])
    expected = fill(segmentation, (30, 4, 4), 70)
    np.testing.assert_array_equal(filled, expected)
    assert (filled.dtype, place) == (np.uint64, PLACE)
    assert [event["done"] for event in result.reported("progress")][-1] == 40

    empty, left = np.count_nonzero(segmentation == 0), np.count_nonzero(expected == 0)
    assert empty > left > 0
    text = f"filled {empty - left:,} of {empty:,} unsegmented voxels: those within 70 nm of a segment"
    assert [event["text"] for event in result.reported("message")] == [text]


def test_says_that_the_voxel_size_may_be_missing(run_stage, tmp_path: Path, segmentation: np.ndarray) -> None:
    write_volume(tmp_path / "s.h5", "segmentation", segmentation, Place())
    result = run_stage("fill", {"segmentation": tmp_path / "s.h5"}, max_distance=2)
    assert (
        "the voxel size is 1 x 1 x 1 nm, the value for an unknown size; max_distance is in nm"
        in result.reported("message")[0]["text"]
    )


def test_refuses_what_is_no_labels(run_stage, tmp_path: Path) -> None:
    write_volume(tmp_path / "f.h5", "segmentation", np.full((3, 3, 3), np.nan, np.float32), PLACE)
    with pytest.raises(InputError, match="dataset /segmentation is float32, not integer labels"):
        run_stage("fill", {"segmentation": tmp_path / "f.h5"})
    write_volume(tmp_path / "n.h5", "segmentation", np.full((3, 3, 3), -7, np.int32), PLACE)
    with pytest.raises(InputError, match="dataset /segmentation holds the negative label -7"):
        run_stage("fill", {"segmentation": tmp_path / "n.h5"})


def test_refuses_a_truncated_file(run_stage, tmp_path: Path, segmentation: np.ndarray) -> None:
    write_volume(tmp_path / "s.h5", "segmentation", segmentation, PLACE)
    data = (tmp_path / "s.h5").read_bytes()
    (tmp_path / "s.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"s\.h5: is truncated; make it again"):
        run_stage("fill", {"segmentation": tmp_path / "s.h5"})


@pytest.mark.parametrize("distance", [0, -1, "far", True])
def test_max_distance_is_a_number_above_0(distance: object) -> None:
    with pytest.raises(ValidationError, match="max_distance"):
        stage.Params.parse({"max_distance": distance})
    assert stage.Params().max_distance == 40
