from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn.partitions import partition
from floodrunner.stages.ffn_partitions import Params
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume

PLACE = Place((4.0, 4.0, 30.0), (7, 8, 9))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two objects, one of 6 x 10 x 12 = 720 voxels, one of 288."""
    array = np.zeros((6, 10, 17), np.uint16)
    array[:, :, :12], array[:, 2:, 13:] = 500, 3
    array[:, :4, 13:] = 0
    write_volume(tmp_path / "labels.h5", "labels", array, PLACE)
    return tmp_path / "labels.h5"


def test_writes_what_google_ffn_reads_in_the_place_of_the_labels(run_stage, labels: Path) -> None:
    result = run_stage("ffn-partitions", {"labels": labels}, lom_radius_xyz=[3, 2, 1], min_size=100)
    with h5py.File(result["volume"]) as file:
        assert file["af"].dtype == np.uint8
    partitions, place = read_volume(result["volume"])
    assert place == PLACE
    array, _ = read_volume(labels)
    expected = partition(array, (1, 2, 3), Params().thresholds, 100)
    np.testing.assert_array_equal(partitions, expected)
    assert set(np.unique(expected)) >= {0, 255, 13}
    assert result.reported("progress")[-1] | {"time": 0} == {
        "event": "progress", "time": 0, "done": 2, "total": 2, "unit": "blocks"
    }  # fmt: skip


def test_refuses_a_box_that_does_not_fit(run_stage, labels: Path) -> None:
    with pytest.raises(InputError) as error:
        run_stage("ffn-partitions", {"labels": labels})
    assert str(error.value) == (
        f"{labels}: a box of 49 x 49 x 49 voxels (x, y, z; radius 24 x 24 x 24) does not fit in a volume of "
        "17 x 10 x 6; lower lom_radius_xyz, or label a larger volume"
    )


def test_refuses_objects_that_are_all_too_small(run_stage, labels: Path) -> None:
    with pytest.raises(InputError) as error:
        run_stage("ffn-partitions", {"labels": labels}, lom_radius_xyz=[1, 1, 1])
    assert str(error.value) == f"{labels}: the largest object has 720 voxels, but min_size is 10000; lower min_size"


def test_refuses_objects_that_lie_in_the_margin_only(run_stage, tmp_path: Path) -> None:
    array = np.zeros((6, 10, 17), np.uint16)
    array[:, :2] = 4
    array[3, 4:6, 8] = 5  # further inside, but too small
    write_volume(tmp_path / "edge.h5", "labels", array, PLACE)
    with pytest.raises(InputError) as error:
        run_stage("ffn-partitions", {"labels": tmp_path / "edge.h5"}, lom_radius_xyz=[1, 2, 1], min_size=10)
    assert str(error.value) == (
        f"{tmp_path / 'edge.h5'}: no object of 10 voxels or more comes further into the volume than lom_radius_xyz "
        "[1, 2, 1]; lower lom_radius_xyz or min_size, or label a larger volume"
    )


@pytest.mark.parametrize(("dtype", "none"), [(np.uint64, 2**64 - 1), (np.int64, -1), (np.uint32, 2**32 - 1)])
def test_an_id_that_means_none_is_background(run_stage, tmp_path: Path, dtype: type, none: int) -> None:
    """As an object it would be the largest of all, and no position would be in the background."""
    array = np.full((5, 6, 7), none, dtype)
    array[:, :, 2:4] = 9
    write_volume(tmp_path / "c.h5", "labels", array, PLACE)
    result = run_stage("ffn-partitions", {"labels": tmp_path / "c.h5"}, lom_radius_xyz=[1, 1, 1], min_size=3)
    partitions = read_volume(result["volume"])[0]
    np.testing.assert_array_equal(partitions[2, 2] == 0, [False, True, False, False, True, True, False])
    assert f"150 voxels (71.4 %) are {none}, which means none" in result.reported("message")[0]["text"]
    write_volume(tmp_path / "c.h5", "labels", np.full_like(array, none), PLACE)
    with pytest.raises(InputError, match="all voxels are background"):
        run_stage("ffn-partitions", {"labels": tmp_path / "c.h5"}, lom_radius_xyz=[1, 1, 1], min_size=3)


def test_a_deep_volume_is_written_part_by_part(run_stage, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    array = rng.integers(0, 4, (45, 3, 4)).repeat(3, 0).repeat(3, 1).repeat(3, 2).astype(np.uint32) * 70000
    write_volume(tmp_path / "deep.h5", "labels", array, PLACE)
    result = run_stage("ffn-partitions", {"labels": tmp_path / "deep.h5"}, lom_radius_xyz=[1, 1, 3], min_size=30)
    expected = partition(array, (3, 1, 1), Params().thresholds, 30)
    np.testing.assert_array_equal(read_volume(result["volume"])[0], expected)
    assert len(np.unique(expected)) > 4


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 5, 5), np.uint8), "all voxels are background (label 0); label some objects, or choose other"),
        (np.full((5, 5, 5), -4, np.int32), "dataset /labels holds the negative label -4; if it means none, import"),
        (np.full((5, 5, 5), np.nan, np.float32), "dataset /labels is float32, not integer labels (0 = none); save"),
    ],
)
def test_refuses_what_is_no_labels(run_stage, tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = tmp_path / "bad.h5"
    write_volume(path, "labels", array, Place())
    with pytest.raises(InputError) as error:
        run_stage("ffn-partitions", {"labels": path}, lom_radius_xyz=[1, 1, 1], min_size=1)
    assert str(error.value).startswith(f"{path}: {words}")


def test_thresholds_must_ascend() -> None:
    with pytest.raises(
        ValidationError, match=r"thresholds must ascend, each greater than the one before; got \[0.2, 0.1"
    ):
        Params.parse({"thresholds": [0.2, 0.1]})
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Params.parse({"thresholds": [50]})
    assert Params().thresholds == (0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
