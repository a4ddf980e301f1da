from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from skimage.metrics import adapted_rand_error, variation_of_information

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.image_sets import Picture, write_set
from floodrunner.stages.storage.volumes import Place, write_volume


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
        "adapted_rand_error", "unsegmented", "objects", "truth_objects"
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert f"adapted Rand error {first['value']:>40.4f}" in out
    assert f"5 objects, 5 in the truth; {100 * unsegmented / labelled:.1f} % of {labelled:,} voxels" in out


def test_nothing_segmented_is_scored_and_not_refused(run_stage, tmp_path: Path, truth: np.ndarray, capsys) -> None:
    labels = volume(tmp_path / "t.h5", truth)
    result = run_stage("evaluate-volume", {"segmentation": volume(tmp_path / "s.h5", truth * 0), "labels": labels})
    report = json.loads(result["metrics"].read_text())
    assert report["unsegmented_ignored"] == {
        "adapted_rand_error": 1, "precision": 0, "recall": 0, "vi_split": None, "vi_merge": None
    }  # fmt: skip
    assert report["unsegmented_as_background"]["recall"] == 1
    assert report["objects"] == 0
    assert concluded(result) == ["There is no object in the segmentation: all 5 objects of the truth are missing"]
    assert "0 objects, 5 in the truth; 100.0 % of" in capsys.readouterr().out


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
    negative = volume(tmp_path / "n.h5", np.where(truth == 1, -5, truth.astype(np.int64)))
    with pytest.raises(InputError, match=r"n\.h5: dataset /labels holds the negative label -5; if it means none"):
        run_stage("evaluate-volume", {"segmentation": negative, "labels": labels})
    with pytest.raises(InputError, match=r"f\.h5: dataset /labels is float64, not integer labels"):
        run_stage("evaluate-volume", {"segmentation": volume(tmp_path / "f.h5", truth * 0.5), "labels": labels})


def report(result: Any) -> dict[str, Any]:
    return json.loads(result["metrics"].read_text())


def concluded(result: Any) -> list[str]:
    return [event["text"] for event in result.reported("conclusion")]


def texts(result: Any) -> list[str]:
    return [event["text"] for event in result.reported("message")]


@pytest.mark.parametrize(
    ("dtype", "none"),
    [(np.uint64, 2**64 - 1), (np.uint64, 2**64 - 2), (np.int64, -1), (np.uint32, 2**32 - 1), (np.int16, -1)],
)
def test_ids_that_mean_none_count_as_0_on_both_sides(
    run_stage, tmp_path: Path, truth: np.ndarray, box: np.ndarray, dtype: type, none: int
) -> None:
    box = np.where(box == 2**40, 6, box)
    place, at = (101, 202, 303), (100, 200, 300)
    inputs = {
        "segmentation": volume(tmp_path / "s.h5", box, place),
        "labels": volume(tmp_path / "t.h5", truth, at),
    }
    expected = report(run_stage("evaluate-volume", inputs))
    other = {
        "segmentation": volume(tmp_path / "s2.h5", np.where(box == 0, dtype(none), box.astype(dtype)), place),
        "labels": volume(tmp_path / "t2.h5", np.where(truth == 0, dtype(none), truth.astype(dtype)), at),
    }
    for mixed in ({"labels": other["labels"]}, {"segmentation": other["segmentation"]}, other):
        result = run_stage("evaluate-volume", inputs | mixed)
        assert report(result) == expected
    said = [text for text in texts(result) if "which means none" in text]
    unlabelled = int((truth[3:38, 2:12, 1:15] == 0).sum())
    assert (
        f"{tmp_path / 't2.h5'}: {unlabelled:,} voxels ({100 * unlabelled / box.size:.1f} %) are {none}, which"
        in said[0]
    )
    assert str(tmp_path / "s2.h5") in said[1]


def test_says_which_part_of_a_larger_truth_is_compared(run_stage, tmp_path: Path, truth: np.ndarray) -> None:
    """A box that some other tool cut out does not know where it lies: then the first corner is compared."""
    cut = truth[3:38, 2:12, 1:15]
    labels = volume(tmp_path / "t.h5", truth)
    result = run_stage("evaluate-volume", {"segmentation": volume(tmp_path / "s.h5", cut, (1, 2, 3)), "labels": labels})
    assert report(result)["unsegmented_ignored"]["adapted_rand_error"] == 0
    (text,) = texts(result)
    assert text == (
        "the segmentation, 14 x 10 x 35 voxels, is compared with the part of the truth, 16 x 12 x 40, that begins at "
        "1 x 2 x 3 (x, y, z): offset_xyz is [1, 2, 3] in the segmentation and [0, 0, 0] in the truth"
    )
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["seg"] = cut
    result = run_stage("evaluate-volume", {"segmentation": tmp_path / "plain.h5", "labels": labels})
    assert "begins at 0 x 0 x 0 (x, y, z): offset_xyz is [0, 0, 0] in the segmentation" in texts(result)[0]
    whole = run_stage("evaluate-volume", {"segmentation": labels, "labels": labels})
    assert not texts(whole)


@pytest.mark.parametrize(
    ("dtype", "value", "share"), [(np.uint8, 255, 0.17), (np.uint16, 65535, 0.17), (np.uint32, 9, 0.67)]
)
def test_says_that_an_id_may_be_a_background_that_is_not_0(
    run_stage, tmp_path: Path, truth: np.ndarray, dtype: type, value: int, share: float
) -> None:
    plain = volume(tmp_path / "s.h5", truth)
    odd = volume(tmp_path / "t.h5", np.where(truth < 6 * share, value, truth).astype(dtype))
    (text,) = texts(run_stage("evaluate-volume", {"segmentation": plain, "labels": odd}))
    assert text.startswith(
        f"{odd}: id {value} covers {100 * np.mean(truth < 6 * share):.1f} % of all voxels; if it means none, "
    )
    assert text.endswith(f"import the labels with import-labels and unlabelled: [{value}], or it counts as an object")
    full = volume(tmp_path / "f.h5", np.arange(1, 256, dtype=np.uint8).reshape(1, 15, 17))  # all ids of 8 bits in use
    assert not texts(run_stage("evaluate-volume", {"segmentation": full, "labels": full}))


def test_says_that_the_voxel_sizes_differ(run_stage, tmp_path: Path, truth: np.ndarray) -> None:
    write_volume(tmp_path / "half.h5", "labels", truth[:, :6, :8], Place((8.0, 8.0, 30.0)))
    labels = volume(tmp_path / "t.h5", truth)
    text = texts(run_stage("evaluate-volume", {"segmentation": tmp_path / "half.h5", "labels": labels}))[0]
    assert text == (
        f"voxel_size_xyz is [8.0, 8.0, 30.0] in {tmp_path / 'half.h5'}, but [4.0, 4.0, 30.0] in {labels}; they are "
        "compared voxel by voxel, so check that both have the same resolution"
    )


def test_says_that_nothing_is_in_common(run_stage, tmp_path: Path, truth: np.ndarray) -> None:
    elsewhere = np.where(truth == 0, 3, 0).astype(np.uint32)
    inputs = {"segmentation": volume(tmp_path / "s.h5", elsewhere), "labels": volume(tmp_path / "t.h5", truth)}
    (text,) = concluded(run_stage("evaluate-volume", inputs))
    assert text == (
        "No voxel with ground truth is segmented (objects found: 1), so the scores mean nothing; check "
        "that both are of the same part of the tissue"
    )


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 2), (1, 9, 8)])
def test_volumes_of_one_section_or_voxel(run_stage, tmp_path: Path, shape: tuple[int, int, int]) -> None:
    path = volume(tmp_path / "v.h5", np.full(shape, 2**63 + 7, np.uint64))
    scores = report(run_stage("evaluate-volume", {"segmentation": path, "labels": path}))
    assert scores["unsegmented_ignored"] == {
        "adapted_rand_error": 0, "precision": 1, "recall": 1, "vi_split": 0, "vi_merge": 0
    }  # fmt: skip


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


def test_says_which_objects_are_worst_and_where(run_stage, tmp_path: Path) -> None:
    """Three neurons of 4 sections: two joined, one cut, and a fourth that is missing."""
    truth = np.zeros((20, 12, 16), np.uint16)
    truth[:, :6, :8], truth[:, 6:, :8], truth[:, :6, 8:], truth[2:6, 8:, 10:] = 3, 7, 8, 9
    segmentation = truth.astype(np.uint32)
    segmentation[truth == 7] = 3
    segmentation[10:][truth[10:] == 8] = 40
    segmentation[truth == 9] = 0
    at = (100, 200, 300)
    inputs = {
        "segmentation": volume(tmp_path / "s.h5", segmentation, at),
        "labels": volume(tmp_path / "t.h5", truth, at),
    }
    result = run_stage("evaluate-volume", inputs, what="neurons")
    with open(result["metrics"].parent / "worst.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["object_ids"], row["truth_ids"]) for row in rows] == [
        ("merge", "3", "3 7"), ("split", "8 40", "8"), ("unsegmented", "", "9")
    ]  # fmt: skip
    for row, (segment, true) in zip(rows, ((3, 7), (40, 8), (0, 9)), strict=True):
        z, y, x = (int(row[f"look_{axis}"]) - o for axis, o in zip("zyx", at[::-1], strict=True))
        assert (segmentation[z, y, x], truth[z, y, x]) == (segment, true)
        assert (segmentation[z, y - 1 : y + 2, x - 1 : x + 2] == segment).all()  # not at its border
    said = concluded(result)
    assert said[:2] == [
        "Too many merges (precision 0.56 where segmented): 1 object joins 2 neurons; 0 of 4 neurons are one object "
        "each",
        "Also splits (recall 0.83 where segmented): 1 neuron is in 2 objects; unsegmented (3 % of the voxels with "
        "ground truth): 1 of 4 neurons is mostly missing",
    ]
    assert said[2] == "The worst, with their share of the variation of information:"
    assert said[3].startswith("object 3 joins neurons 3 and 7: ")
    assert said[3].endswith(" %; look at x 102, y 208, z 300")
    assert said[4].startswith("neuron 8 is in objects 8 and 40: ")
    assert said[5] == "neuron 9 is 100 % unsegmented: 0 %; look at x 111, y 209, z 302"  # it is all that is unsegmented
    assert said[6].startswith("The adapted Rand error is 0.")
    assert said[7].startswith("Measured on 4 neurons in 16 x 12 x 20 voxels at 100 x 200 x 300 (x, y, z), 7")


def test_a_perfect_result_is_called_so_with_its_limits(run_stage, tmp_path: Path, truth: np.ndarray) -> None:
    labels = volume(tmp_path / "t.h5", np.where(truth == 2, 2, 0).astype(np.uint8))
    result = run_stage("evaluate-volume", {"segmentation": labels, "labels": labels})
    assert concluded(result) == [
        "Perfect: the only object of the truth is one object, with exactly its voxels, where there is ground truth",
        "Measured on 1 object of the truth in 16 x 12 x 40 voxels at 0 x 0 x 0 (x, y, z), 17 % of which have ground "
        "truth; nothing else is judged; with one object of the truth, merges cannot show",
    ]
    assert (result["metrics"].parent / "worst.csv").read_text().count("\n") == 1


def test_a_single_object_that_is_missing_is_no_perfect_result(run_stage, tmp_path: Path) -> None:
    """The scores cannot tell it: unsegmented voxels count as one segment, and here that is just this object."""
    truth = np.ones((4, 5, 6), np.uint8)
    truth[2:] = 2
    inputs = {"segmentation": volume(tmp_path / "s.h5", truth % 2), "labels": volume(tmp_path / "t.h5", truth)}
    assert concluded(run_stage("evaluate-volume", inputs, what="cells"))[0] == (
        "Too much is unsegmented (50 % of the voxels with ground truth): 1 of 2 cells is mostly missing; 1 of 2 cells "
        "is one object"
    )
