"""Pictures without a cell: where they go, and what they count for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.stages.storage.image_sets import Picture, read_set, write_set
from tests.stages.pairs import cells, image, said, save
from tests.stages.test_unet_train import drawn, train


def folders(root: Path, full: int, empty: int) -> dict[str, Path]:
    for number in range(full + empty):
        save(root / "images" / f"p{number}.png", image((40, 50)))
        save(root / "labels" / f"p{number}.png", cells((40, 50)) * (number < full))
    return {"images": root / "images", "labels": root / "labels"}


def counts(result: Any) -> dict[str, tuple[int, int]]:
    """For each set, the number of pictures with cells, and without."""
    found = {}
    for port in ("training", "test"):
        kinds = [bool(picture.labels.any()) for picture in read_set(result[port])]  # type: ignore[union-attr]
        found[port] = (kinds.count(True), kinds.count(False))
    return found


@pytest.mark.parametrize(
    ("full", "empty", "expected"),
    [(10, 10, ((8, 8), (2, 2))), (3, 7, ((2, 6), (1, 1))), (4, 1, ((3, 1), (1, 0)))],
)
def test_test_pictures_have_cells(
    run_stage: Callable[..., Any], tmp_path: Path, full: int, empty: int, expected: tuple[tuple[int, int], ...]
) -> None:
    inputs = folders(tmp_path, full, empty)
    for seed in range(1, 6):
        result = run_stage("import-pairs", inputs, seed=seed)
        assert tuple(counts(result).values()) == expected
        assert not [text for text in said(result) if "says nothing" in text]


def test_two_pictures_with_cells_are_for_training_and_validation(run_stage: Callable[..., Any], tmp_path: Path) -> None:
    result = run_stage("import-pairs", folders(tmp_path, 2, 6))
    assert counts(result) == {"training": (2, 4), "test": (0, 2)}
    assert said(result)[-1] == (
        "only 2 of 8 pictures have cells, and training and validation need them: the test set has no cell, so its "
        "scores say nothing about how well cells are found; add pictures with cells"
    )


def emptied(number: int) -> Picture:
    noise = np.random.default_rng(number).normal(40, 12, (40, 40))
    return Picture(f"empty{number}", np.clip(noise, 0, 255).astype(np.uint8), np.zeros((40, 40), np.int32))


@pytest.mark.usefixtures("uncompiled")
def test_a_validation_picture_has_cells(tmp_path: Path) -> None:
    """Whatever the seed; and the empty ones say nothing of the Dice coefficient."""
    write_set(tmp_path / "set.h5", [drawn(0, (40, 40), 0), drawn(1, (40, 40), 1), *map(emptied, range(6))])
    for seed in (1, 2, 3):
        events = train(tmp_path / "set.h5", tmp_path / str(seed), seed=seed, max_steps=1)
        about = json.loads((tmp_path / str(seed) / "partial/model/network.json").read_text())
        assert about["validation"] in (["cells0"], ["cells1"])
        assert [dice for _, dice in events.metrics("validation_dice")] == [0]
        assert (
            "6 of 7 training pictures and 0 of 1 validation pictures have no cell; the validation Dice is the mean "
            "over those with cells, the validation loss is that of all"
        ) in events.messages()


@pytest.mark.usefixtures("uncompiled")
def test_without_a_cell_to_validate_the_last_weights_are_used(tmp_path: Path) -> None:
    write_set(tmp_path / "set.h5", [drawn(0, (40, 40), 0), *map(emptied, range(4))])
    events = train(tmp_path / "set.h5", tmp_path, max_steps=30, validation_interval=5, patience=2)
    assert not events.metrics("validation_dice")
    assert len(events.metrics("validation_loss")) == 6
    assert any("no validation picture has a cell, so the best weights cannot be chosen" in m for m in events.messages())
    assert events.conclusions()[-1] == "The weights are from step 30; no validation picture has a cell"
    assert json.loads((tmp_path / "partial/model/network.json").read_text())["step"] == 30


@pytest.mark.usefixtures("uncompiled")
def test_a_state_with_other_validation_pictures_is_set_aside(tmp_path: Path) -> None:
    """Earlier versions drew them without looking for cells."""
    from floodrunner.stages.resumable import state
    from floodrunner.stages.resumable.training import STATE_FILE

    write_set(tmp_path / "set.h5", [drawn(0, (40, 40), 0), drawn(1, (40, 40), 1), emptied(2)])
    train(tmp_path / "set.h5", tmp_path, max_steps=1)
    arrays, values = state.load(tmp_path / "state" / STATE_FILE)  # type: ignore[misc]
    del values["identity"]["empty_pictures"]
    state.save(tmp_path / "state" / STATE_FILE, arrays, values)
    assert "(empty_pictures changed)" in train(tmp_path / "set.h5", tmp_path, max_steps=2).messages()[0]


def test_an_empty_picture_has_no_dice_but_what_is_found_there_counts(
    run_stage: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey, truth, none = np.zeros((40, 50), np.uint8), cells((40, 50), np.int32), np.zeros((40, 50), np.int32)
    write_set(tmp_path / "truth.h5", [Picture("a", grey, truth), Picture("b", grey, none), Picture("c", grey, none)])
    half = np.where(truth > 2, truth, 0)
    write_set(tmp_path / "found.h5", [Picture("a", grey, half), Picture("b", grey, none), Picture("c", grey, truth)])
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "found.h5", "labels": tmp_path / "truth.h5"})
    report = json.loads(result["metrics"].read_text())
    assert report["dice"] == pytest.approx(2 * 200 / (200 + 400))
    assert report["dice_pooled"] == pytest.approx(2 * 200 / (200 + 400 + 400))
    assert report["iou"] == pytest.approx(0.5)
    assert report["average_precision"]["0.50"] == report["mean_average_precision"] == 0.5
    assert report["count_error_pooled"] == pytest.approx((2 + 0 + 4) / 4)
    assert (report["pictures_without_truth_cells"], report["cells_in_pictures_without"]) == (2, 4)
    rows = result["metrics"].with_name("pictures.csv").read_text().splitlines()
    assert rows[2].startswith("b,0,0,,,,,")
    assert "2 pictures without cells in the truth; 4 cells found there" in capsys.readouterr().out


def test_a_set_without_cells_has_no_scores(run_stage: Callable[..., Any], tmp_path: Path) -> None:
    write_set(tmp_path / "s.h5", [emptied(1)])
    result = run_stage("evaluate-pictures", {"segmentation": tmp_path / "s.h5", "labels": tmp_path / "s.h5"})
    report = json.loads(result["metrics"].read_text())
    names = ("dice", "dice_pooled", "iou", "average_precision", "mean_average_precision", "count_error")
    assert [report[name] for name in names] == [None] * 6
    assert not result.reported("metric")
    (text,) = (event["text"] for event in result.reported("conclusion"))
    assert text.startswith("No picture has a cell in the truth")
