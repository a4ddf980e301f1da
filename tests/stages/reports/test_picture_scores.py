"""The scores of sets of pictures, through the stage `evaluate-pictures`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.scores import detection, isbi2012, overlap
from floodrunner.stages.storage.image_sets import Picture, read_set, write_set

RNG = np.random.default_rng(7)
SIZES = {"p1": (60, 80), "p2": (90, 50), "p10": (60, 80)}


def truth_of(shape: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    for id_, (y, x) in enumerate(((2, 2), (2, 22), (25, 5), (28, 30)), 1):
        labels[y : y + 18, x : x + 18] = id_
    return labels


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    write_set(tmp_path / "t.h5", [Picture(n, np.zeros(s, np.uint8), truth_of(s)) for n, s in SIZES.items()])
    return tmp_path / "t.h5"


def found_in(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A cell found too small, one missed, one imagined, two found; and a noisy probability."""
    labels = truth_of(shape)
    labels[2:9, 2:20] = 0
    labels[labels == 2] = 0
    labels[48:55, 2:9] = 9
    return labels, probability_of(truth_of(shape))


def probability_of(labels: np.ndarray) -> np.ndarray:
    probability = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1)
    return np.clip(probability + RNG.normal(0, 0.02, labels.shape), 0, 1).astype(np.float32)


def membranes(shape: tuple[int, int]) -> np.ndarray:
    """Cells of 15 pixels with membranes of 3 between them: cells cover some 0.7."""
    y, x = np.indices(shape)
    return np.where((y % 18 < 3) | (x % 18 < 3), 0, 1 + y // 18 * 10 + x // 18).astype(np.int32)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    pictures = [Picture(n, np.zeros(s, np.uint8), *found_in(s)) for n, s in SIZES.items()]
    write_set(tmp_path / "s.h5", pictures)
    return tmp_path / "s.h5"


def concluded(result: Any) -> list[str]:
    return [event["text"] for event in result.reported("conclusion")]


def refusal(run_stage, segmentation: Path, labels: Path) -> str:
    with pytest.raises(InputError) as caught:
        run_stage("evaluate-pictures", {"segmentation": segmentation, "labels": labels})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_figures_of_the_set_and_of_each_picture(run_stage, truth: Path, found: Path, capsys) -> None:
    result = run_stage("evaluate-pictures", {"segmentation": found, "labels": truth})
    report = json.loads(result["metrics"].read_text())
    pairs = [(picture, truth_of(SIZES[picture.name])) for picture in read_set(found)]
    dice = [overlap.dice(picture.labels > 0, cells > 0) for picture, cells in pairs]
    precision = np.array([detection.average_precision(picture.labels, cells) for picture, cells in pairs])
    assert report["pictures"] == 3
    assert report["dice"] == pytest.approx(np.mean(dice))
    assert report["iou"] == pytest.approx(np.mean([overlap.iou(p.labels > 0, cells > 0) for p, cells in pairs]))
    assert list(report["average_precision"]) == [f"{0.5 + k / 20:.2f}" for k in range(10)]
    assert list(report["average_precision"].values()) == pytest.approx(precision.mean(0).tolist())
    assert report["average_precision"]["0.50"] == pytest.approx(3 / 5)  # of 4 cells and 4 segments, 3 meet
    assert report["average_precision"]["0.95"] == pytest.approx(2 / 6)
    assert report["mean_average_precision"] == pytest.approx(precision.mean())
    assert (report["cells"], report["truth_cells"], report["count_error"]) == (12, 12, 0)
    assert (report["pictures_without_truth_cells"], report["cells_in_pictures_without"]) == (0, 0)

    with open(result["metrics"].with_name("pictures.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == ["p1", "p2", "p10"]
    for k, row in enumerate(rows):
        assert float(row["dice"]) == pytest.approx(dice[k], abs=1e-4)
        assert float(row["average_precision_0.95"]) == pytest.approx(precision[k, -1], abs=1e-4)
        assert (row["cells"], row["truth_cells"], row["count_error"]) == ("4", "4", "0.0000")

    metrics = {event["name"]: event["value"] for event in result.reported("metric")}
    assert metrics == {
        "dice_of_pixels": report["dice"],
        "average_precision_of_cells": report["average_precision"]["0.50"],
        "count_error": 0,
    }
    assert [row["missed"] for row in rows] == ["1", "1", "1"]
    assert concluded(result)[:2] == [
        "Too many cells are missed: 9 of 12 cells in 3 pictures found (IoU above 0.5), 3 missed, 3 invented",
        "Most is wrong in p1 (1 of 4 cells not found, 1 too many), p2 (1 of 4 cells not found, 1 too many), "
        "p10 (1 of 4 cells not found, 1 too many)",
    ]
    assert [event["path"] for event in result.reported("artifact")] == ["pictures.csv"]
    out = capsys.readouterr().out
    assert f"Dice {report['dice']:>38.4f}   1 is perfect" in out
    assert "3 pictures; 12 cells, 12 in the truth" in out


def test_maps_of_membranes_have_v_scores(run_stage, tmp_path: Path) -> None:
    pictures = []
    for name, shape in SIZES.items():
        labels = membranes(shape)
        probability = probability_of(labels)
        probability[5, 16:23] = 0.62  # a gap that joins two cells
        pictures.append(Picture(name, np.zeros(shape, np.uint8), labels, probability))
    write_set(tmp_path / "m.h5", pictures)
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "m.h5", "labels": tmp_path / "m.h5"})
    report = json.loads(result["metrics"].read_text())
    v = np.array([isbi2012.over_thresholds(p.probability, p.labels) for p in pictures])
    at = v.mean(0).argmax(0)
    with open(result["metrics"].with_name("pictures.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = {event["name"]: event["value"] for event in result.reported("metric")}
    for k, name in enumerate(("v_rand", "v_info")):
        assert metrics[name] == report[name] == pytest.approx(v[:, :, k].mean(0).max())
        assert report[f"{name}_threshold"] == isbi2012.THRESHOLDS[at[k]] > 0.6  # below, the gap joins two cells
        assert 0.9 < report[name] <= 1
        for j, row in enumerate(rows):
            assert float(row[name]) == pytest.approx(v[j, at[k], k], abs=1e-4)


def test_nuclei_have_none(run_stage, truth: Path, found: Path, capsys) -> None:
    result = run_stage("evaluate-pictures", {"segmentation": found, "labels": truth})
    report = json.loads(result["metrics"].read_text())
    assert (report["v_rand"], report["v_info"]) == (None, None)
    assert "v_rand_threshold" not in report
    assert not {event["name"] for event in result.reported("metric")} & {"v_rand", "v_info"}
    assert "v_rand" not in result["metrics"].with_name("pictures.csv").read_text()
    share = sum((truth_of(shape) > 0).sum() for shape in SIZES.values()) / sum(y * x for y, x in SIZES.values())
    assert (
        "no V_rand and V_info: they are for maps of membranes, where cells cover at least 60 %; "
        f"here cells cover {100 * share:.0f} %\n"
    ) in capsys.readouterr().out


def test_truth_against_itself_is_perfect(run_stage, truth: Path) -> None:
    result = run_stage("evaluate-pictures", {"segmentation": truth, "labels": truth})
    report = json.loads(result["metrics"].read_text())
    assert concluded(result) == ["All cells are found: 12 of 12 cells in 3 pictures found (IoU above 0.5)"]
    assert (report["dice"], report["iou"], report["mean_average_precision"], report["count_error"]) == (1, 1, 1, 0)
    assert report["v_rand"] is None


def test_without_probability_there_are_no_v_scores(run_stage, tmp_path: Path, capsys) -> None:
    write_set(tmp_path / "m.h5", [Picture(n, np.zeros(s, np.uint8), membranes(s)) for n, s in SIZES.items()])
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "m.h5", "labels": tmp_path / "m.h5"})
    assert json.loads(result["metrics"].read_text())["v_rand"] is None
    assert "no V_rand and V_info: no probability was predicted\n" in capsys.readouterr().out


def test_the_count_error_is_the_mean_of_the_pictures(run_stage, tmp_path: Path, truth: Path) -> None:
    keep = {"p1": 4, "p2": 2, "p10": 1}
    pictures = [
        Picture(n, np.zeros(s, np.uint8), np.where(truth_of(s) <= keep[n], truth_of(s), 0)) for n, s in SIZES.items()
    ]
    write_set(tmp_path / "s.h5", pictures)
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "s.h5", "labels": truth})
    report = json.loads(result["metrics"].read_text())
    assert report["count_error"] == pytest.approx((0 + 2 / 4 + 3 / 4) / 3)
    assert report["count_error_pooled"] == pytest.approx((0 + 2 + 3) / 12)
    assert report["average_precision"]["0.50"] == pytest.approx((1 + 2 / 4 + 1 / 4) / 3)


def test_cells_found_where_there_are_none_are_counted_apart(run_stage, tmp_path: Path, found: Path, capsys) -> None:
    labels = {n: truth_of(s) for n, s in SIZES.items()}
    labels["p2"] *= 0
    labels["p10"][labels["p10"] > 2] = 0  # 4 are found
    write_set(tmp_path / "t2.h5", [Picture(n, np.zeros(s, np.uint8), labels[n]) for n, s in SIZES.items()])
    result = run_stage("evaluate-pictures", {"segmentation": found, "labels": tmp_path / "t2.h5"})
    report = json.loads(result["metrics"].read_text())
    assert report["count_error"] == pytest.approx((0 + 2 / 2) / 2)
    assert report["count_error_pooled"] == pytest.approx((0 + 4 + 2) / (4 + 0 + 2))
    assert (report["pictures_without_truth_cells"], report["cells_in_pictures_without"]) == (1, 4)
    with open(result["metrics"].with_name("pictures.csv"), newline="") as file:
        assert [row["count_error"] for row in csv.DictReader(file)] == ["0.0000", "", "1.0000"]
    assert "\n1 picture without cells in the truth; 4 cells found there\n" in capsys.readouterr().out


def test_no_truth_cell_at_all(run_stage, tmp_path: Path, found: Path, capsys) -> None:
    write_set(tmp_path / "t2.h5", [Picture(n, np.zeros(s, np.uint8), np.zeros(s, np.int32)) for n, s in SIZES.items()])
    result = run_stage("evaluate-pictures", {"segmentation": found, "labels": tmp_path / "t2.h5"})
    report = json.loads(result["metrics"].read_text())
    assert report["count_error"] is report["count_error_pooled"] is None
    assert (report["pictures_without_truth_cells"], report["cells_in_pictures_without"]) == (3, 12)
    assert not result.reported("metric")
    assert concluded(result) == [
        "No picture has a cell in the truth, so nothing can be said about how well cells are found (12 cells found)"
    ]
    assert f"count error {'-':>31}   relative error of the number" in capsys.readouterr().out


def test_a_picture_without_cells_has_no_v_scores(run_stage, tmp_path: Path) -> None:
    labels = {n: membranes(s) for n, s in SIZES.items()} | {"p2": np.zeros((10, 50), np.int32)}
    pictures = [Picture(n, np.zeros(x.shape, np.uint8), x, probability_of(x)) for n, x in labels.items()]
    write_set(tmp_path / "m.h5", pictures)
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "m.h5", "labels": tmp_path / "m.h5"})
    with open(result["metrics"].with_name("pictures.csv"), newline="") as file:
        rows = {row["picture"]: row for row in csv.DictReader(file)}
    assert rows["p2"]["v_rand"] == ""
    assert float(rows["p1"]["v_rand"]) > 0.9
    assert json.loads(result["metrics"].read_text())["v_rand"] == pytest.approx(
        np.mean([float(rows[name]["v_rand"]) for name in ("p1", "p10")]), abs=1e-4
    )


def test_nothing_found_is_told(run_stage, tmp_path: Path, truth: Path) -> None:
    write_set(tmp_path / "s.h5", [Picture(n, np.zeros(s, np.uint8), np.zeros(s, np.int32)) for n, s in SIZES.items()])
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "s.h5", "labels": truth})
    assert concluded(result) == ["No cell was found: all 12 are missed"]
    assert json.loads(result["metrics"].read_text())["count_error"] == 1


def test_pictures_that_were_not_segmented_are_named(run_stage, tmp_path: Path, truth: Path) -> None:
    write_set(tmp_path / "s.h5", [Picture("p2", np.zeros(SIZES["p2"], np.uint8), truth_of(SIZES["p2"]))])
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "s.h5", "labels": truth})
    assert json.loads(result["metrics"].read_text())["pictures"] == 1
    assert [event["text"] for event in result.reported("message")] == [
        "2 of 3 pictures with ground truth are not in the segmentation and are not scored: p1, p10"
    ]


def test_what_does_not_belong_together_is_refused(run_stage, tmp_path: Path, truth: Path) -> None:
    file, zeros = tmp_path / "s.h5", np.zeros((60, 80), np.uint8)
    write_set(file, [Picture("p1", zeros, truth_of((60, 80))), Picture("x", zeros, truth_of((60, 80)))])
    assert refusal(run_stage, file, truth) == (
        f"{file}: 1 of 2 pictures are not in {truth}: x; score pictures that have ground truth"
    )
    write_set(file, [Picture("p2", zeros, truth_of((60, 80)))])
    assert refusal(run_stage, file, truth) == (
        f"{file}: p2 is 80 x 60 pixels, but in {truth} it is 50 x 90; connect the set whose pictures were segmented"
    )
    write_set(file, [Picture("p1", zeros)])
    words = "p1 has no labels; connect a set of pictures with labels"
    assert refusal(run_stage, file, truth) == f"{file}: {words}"
    write_set(tmp_path / "s2.h5", [Picture("p1", zeros, truth_of((60, 80)))])
    assert refusal(run_stage, tmp_path / "s2.h5", file) == f"{file}: {words}"


@pytest.mark.real_data
def test_real_truth_against_itself(shared: Path, run_stage, tmp_path: Path) -> None:
    for name, perfect in (("dsb2018", ("dice", "iou", "mean_average_precision")), ("isbi2012", ("v_rand", "v_info"))):
        inputs = {"images": shared / name / "images", "labels": shared / name / "labels"}
        test = run_stage("import-pairs", inputs)["test"]
        pictures = [Picture(p.name, p.image, p.labels, (p.labels > 0).astype(np.float32)) for p in read_set(test)]
        write_set(tmp_path / f"{name}.h5", pictures)
        result = run_stage("evaluate-pictures", {"segmentation": tmp_path / f"{name}.h5", "labels": test})
        report = json.loads(result["metrics"].read_text())
        assert [report[key] for key in perfect] == pytest.approx([1] * len(perfect))
        assert report["count_error"] == 0
        assert (report["v_rand"] is None) == (name == "dsb2018")
