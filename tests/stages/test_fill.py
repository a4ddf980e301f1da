from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.fill import fill
from floodrunner.stages import fill as stage
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume

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

    ids, voxels = np.unique(expected[expected > 0], return_counts=True)
    with open(result["segmentation"].parent / "objects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["id"]), int(row["voxels"])) for row in rows] == [*zip(ids.tolist(), voxels.tolist(), strict=True)]
    z, y, x = np.argwhere(expected == ids[0]).min(axis=0)
    assert [int(rows[0][f"{axis}_min"]) for axis in "xyz"] == [x + 7, y + 8, z + 9]
    assert result.reported("conclusion")[0]["text"].startswith(f"{len(ids)} objects in ")


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


@pytest.mark.parametrize("distance", [1e6, 1e12, 1e200])
def test_a_distance_far_beyond_the_volume_still_finds_the_nearest(run_stage, tmp_path: Path, distance: float) -> None:
    labels = np.zeros((3, 20, 30), np.uint32)
    labels[1, 10, 2], labels[1, 10, 27] = 8, 5  # the smaller id is taken only where both are equally near
    write_volume(tmp_path / "s.h5", "segmentation", labels, Place((4.0, 4.0, 30.0)))
    result = run_stage("fill", {"segmentation": tmp_path / "s.h5"}, max_distance=distance)
    expected = np.where(np.arange(30) < 14.5, 8, 5)
    np.testing.assert_array_equal(read_volume(result["segmentation"])[0], np.broadcast_to(expected, labels.shape))


@pytest.mark.parametrize(("dtype", "none"), [(np.uint64, 2**64 - 1), (np.int64, -1), (np.uint32, 2**32 - 1)])
def test_an_id_that_means_none_is_filled_and_does_not_spread(run_stage, tmp_path: Path, dtype: type, none: int) -> None:
    labels = np.zeros((4, 5, 9), dtype)
    labels[:, :, 4:] = none
    labels[:, :, 2] = 7
    write_volume(tmp_path / "s.h5", "segmentation", labels, PLACE)
    result = run_stage("fill", {"segmentation": tmp_path / "s.h5"}, max_distance=12)
    filled = read_volume(result["segmentation"])[0]
    assert filled.dtype == dtype
    np.testing.assert_array_equal(filled[0, 0], [7, 7, 7, 7, 7, 7, 0, 0, 0])
    texts = [event["text"] for event in result.reported("message")]
    assert f"100 voxels (55.6 %) are {none}, which means none" in texts[0]
    assert texts[1] == "filled 100 of 160 unsegmented voxels: those within 12 nm of a segment"


@pytest.mark.parametrize("shape", [(1, 6, 7), (1, 1, 1), (1, 1, 9)])
def test_flat_and_empty_volumes(run_stage, tmp_path: Path, shape: tuple[int, int, int]) -> None:
    write_volume(tmp_path / "s.h5", "segmentation", np.zeros(shape, np.int16), PLACE)
    result = run_stage("fill", {"segmentation": tmp_path / "s.h5"})
    filled = read_volume(result["segmentation"])[0]
    assert (filled.shape, filled.dtype, filled.any()) == (shape, np.int16, False)
    assert result.reported("conclusion")[0]["text"] == "There is no object in the volume"


@pytest.mark.parametrize("distance", [0, -1, "far", True])
def test_max_distance_is_a_number_above_0(distance: object) -> None:
    with pytest.raises(ValidationError, match="max_distance"):
        stage.Params.parse({"max_distance": distance})
    assert stage.Params().max_distance == 40


def test_a_distance_beyond_the_stack_is_told(run_stage, tmp_path: Path) -> None:
    labels = np.zeros((2, 3, 4), np.uint32)
    labels[0, 0, 0] = 5
    write_volume(tmp_path / "s.h5", "labels", labels, Place((0.004, 0.004, 0.03)))
    result = run_stage("fill", {"segmentation": tmp_path / "s.h5"})
    said = [event["text"] for event in result.reported("message")]
    assert any("0.004 nm is less than an atom; did you mean µm? write [4, 4, 30]" in line for line in said)
    assert any("max_distance, 40 nm, is not less than the diagonal of the volume, 0.0" in line for line in said)
