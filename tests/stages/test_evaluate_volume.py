from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, variation_of_information

from contract.stage import InputError
from stages.storage.image_sets import Picture, write_set
from stages.storage.volumes import Place, write_volume


def volume(path: Path, array: np.ndarray, offset_xyz: tuple[int, int, int] = (0, 0, 0)) -> Path:
    write_volume(path, "labels", array, Place((4.0, 4.0, 30.0), offset_xyz))
    return path


@pytest.fixture
def truth() -> np.ndarray:
    """Deeper than one slab that is read at once."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 6, (20, 3, 4)).repeat(2, 0).repeat(4, 1).repeat(4, 2).astype(np.uint16)


@pytest.fixture
def box(truth: np.ndarray) -> np.ndarray:
    """What a segmentation of truth[3:38, 2:12, 1:15] might be: a merge, a split, ids of another type, holes."""
    box = truth[3:38, 2:12, 1:15].astype(np.uint64)
    box[box == 2] = 3
    box[20:][box[20:] == 4] = 2**40
    box[:, ::3] = 0
    return box


def test_scores_a_box_of_the_volume_in_its_place(
    run_stage, tmp_path: Path, truth: np.ndarray, box: np.ndarray, capsys
) -> None:
    result = run_stage(
        "evaluate-volume",
        {
            "segmentation": volume(tmp_path / "s.h5", box, (101, 202, 303)),
            "labels": volume(tmp_path / "t.h5", truth, (100, 200, 300)),
        },
    )
    report = json.loads(result["metrics"].read_text())
    true = truth[3:38, 2:12, 1:15]
    expected = {}
    for name, use in (("unsegmented_as_background", true >= 0), ("unsegmented_ignored", box > 0)):
        _, segment = np.unique(box[use], return_inverse=True)
        error, recall, precision = adapted_rand_error(true[use], segment, ignore_labels=(0,))
        split, merge = variation_of_information(true[use], segment, ignore_labels=(0,))
        values = {"adapted_rand_error": error, "precision": precision, "recall": recall}
        expected[name] = {k: pytest.approx(v) for k, v in (values | {"vi_split": split, "vi_merge": merge}).items()}
    labelled = np.count_nonzero(true)
    unsegmented = np.count_nonzero((true > 0) & (box == 0))
    counts = {"objects": 5, "truth_objects": 5, "truth_voxels": labelled, "truth_voxels_unsegmented": unsegmented}
    assert report == expected | counts
    assert 0 < unsegmented < labelled

    first, *_ = result.reported("metric")
    assert (first["name"], first["value"]) == (
        "adapted_rand_error",
        expected["unsegmented_as_background"][first["name"]],
    )
    assert "step" not in first
    assert [event["name"] for event in result.reported("metric")] == [
        "adapted_rand_error", "adapted_rand_error_unsegmented_ignored", "objects", "truth_objects"
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert f"adapted Rand error {first['value']:>40.4f}" in out
    assert f"5 objects, 5 in the truth; {unsegmented / labelled:.1%} of {labelled:,} voxels" in out


def test_nothing_segmented_is_scored_and_not_refused(run_stage, tmp_path: Path, truth: np.ndarray, capsys) -> None:
    labels = volume(tmp_path / "t.h5", truth)
    result = run_stage("evaluate-volume", {"segmentation": volume(tmp_path / "s.h5", truth * 0), "labels": labels})
    report = json.loads(result["metrics"].read_text())
    assert report["unsegmented_ignored"] == {
        "adapted_rand_error": 1, "precision": 0, "recall": 0, "vi_split": None, "vi_merge": None
    }  # fmt: skip
    assert report["unsegmented_as_background"]["recall"] == 1
    assert report["objects"] == 0
    assert "0 objects, 5 in the truth; 100.0% of" in capsys.readouterr().out


@pytest.mark.parametrize("offset_xyz", [(0, 0, 6), (-1, 0, 0)])
def test_refuses_a_box_that_is_not_inside_the_truth(
    run_stage, tmp_path: Path, truth: np.ndarray, box: np.ndarray, offset_xyz: tuple[int, int, int]
) -> None:
    segmentation, labels = volume(tmp_path / "s.h5", box, offset_xyz), volume(tmp_path / "t.h5", truth)
    with pytest.raises(InputError) as error:
        run_stage("evaluate-volume", {"segmentation": segmentation, "labels": labels})
    start = " x ".join(map(str, offset_xyz))
    assert str(error.value) == (
        f"{segmentation}: its box, 14 x 10 x 35 voxels at {start} (x, y, z), is not inside the box of the truth, "
        f"16 x 12 x 40 voxels at 0 x 0 x 0 (x, y, z) ({labels}); connect labels of the same sections"
    )


def test_refuses_a_box_without_ground_truth(run_stage, tmp_path: Path, truth: np.ndarray, box: np.ndarray) -> None:
    truth[3:38, 2:12, 1:15] = 0
    segmentation, labels = volume(tmp_path / "s.h5", box, (1, 2, 3)), volume(tmp_path / "t.h5", truth)
    with pytest.raises(InputError) as error:
        run_stage("evaluate-volume", {"segmentation": segmentation, "labels": labels})
    assert str(error.value) == (
        f"{labels}: no voxel is labelled in the box of the segmentation, 14 x 10 x 35 voxels at 1 x 2 x 3 (x, y, z); "
        "segment a box that has ground truth, or remove this step"
    )


def test_refuses_negative_and_fractional_ids(run_stage, tmp_path: Path, truth: np.ndarray) -> None:
    labels = volume(tmp_path / "t.h5", truth)
    negative = volume(tmp_path / "n.h5", np.where(truth == 1, -1, truth.astype(np.int64)))
    with pytest.raises(InputError, match=r"n\.h5: dataset /labels holds the negative label -1; labels are 0"):
        run_stage("evaluate-volume", {"segmentation": negative, "labels": labels})
    with pytest.raises(InputError, match=r"f\.h5: dataset /labels is float64, not integer labels"):
        run_stage("evaluate-volume", {"segmentation": volume(tmp_path / "f.h5", truth * 0.5), "labels": labels})


def test_refuses_a_set_of_pictures(run_stage, tmp_path: Path, truth: np.ndarray) -> None:
    """One with a colour picture as well, whose image has three axes as a volume has."""
    labels, pictures = volume(tmp_path / "t.h5", truth), tmp_path / "p.h5"
    write_set(pictures, [Picture("p", np.zeros((8, 9, 3), np.uint8))])
    for inputs in ({"segmentation": pictures, "labels": labels}, {"segmentation": labels, "labels": pictures}):
        with pytest.raises(InputError) as error:
            run_stage("evaluate-volume", inputs)
        assert str(error.value) == (
            f"{pictures}: is a set of pictures, not a volume; connect a volume, or use evaluate-pictures"
        )
