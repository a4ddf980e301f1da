"""`scores` and `cell_scores` give what the stages `evaluate-...` give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floodrunner
from floodrunner import InputError, Volume
from floodrunner.stages.storage.image_sets import Picture, write_set

TRUTH = np.zeros((6, 20, 30), np.uint32)
TRUTH[:, 2:9, 2:28], TRUTH[:, 11:18, 2:28] = 3, 7
MERGED = (TRUTH > 0).astype(np.int32)
MERGED[0] = 0


def test_a_volume_has_the_scores_of_the_stage(
    run_stage: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"segmentation": tmp_path / "s.h5", "labels": tmp_path / "t.h5"}
    for port, array in (("segmentation", MERGED), ("labels", TRUTH)):
        floodrunner.write(files[port], array)
    result = run_stage("evaluate-volume", files, what="neurons")
    expected = json.loads(result["metrics"].read_text())
    capsys.readouterr()
    for given in ((MERGED, TRUTH), (Volume(MERGED), files["labels"]), (str(files["segmentation"]), TRUTH)):
        found = floodrunner.scores(*given, what="neurons")
        for name in ("unsegmented_as_background", "unsegmented_ignored"):
            assert getattr(found, name)._asdict() == expected[name]
        assert found.objects == 1
        assert found.truth_objects == 2
        assert found.truth_voxels_unsegmented == expected["truth_voxels_unsegmented"]
        assert (found.worst[0]["kind"], found.worst[0]["truth_ids"]) == ("merge", "3 7")
        assert found.sentences == tuple(event["text"] for event in result.reported("conclusion"))
    assert "neurons" in " ".join(found.sentences)
    assert capsys.readouterr().out == ""


def test_a_part_is_compared_with_its_part_of_the_truth() -> None:
    part = Volume(TRUTH[2:4, 5:20], None, (0, 5, 2))
    found = floodrunner.scores(part, TRUTH)
    assert found.unsegmented_as_background.adapted_rand_error == 0
    assert found.worst == []


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        (TRUTH / 2, "segmentation: is float64, not integer labels"),
        (TRUTH[0], r"segmentation: is an array of shape \(20, 30\); a volume is \(z, y, x\)"),
        (np.pad(TRUTH, 1), "segmentation.h5: its box, .* is not inside the box of the truth"),
        (Volume(TRUTH, None, (0, 0, 1)), "is not inside the box of the truth"),
    ],
)
def test_what_cannot_be_compared_is_refused(segmentation: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as seen:
        floodrunner.scores(segmentation, TRUTH)
    assert "/floodrunner-" not in str(seen.value)


def test_cells_have_the_scores_of_the_stage(run_stage: Callable[..., Any], tmp_path: Path) -> None:
    truths = [TRUTH[0].astype(np.int32), np.zeros((5, 6), np.int32)]
    found = [MERGED[1], np.ones((5, 6), np.int64)]
    for name, arrays in (("s", found), ("t", truths)):
        pictures = [Picture(f"{k}", np.zeros(a.shape, np.uint8), a.astype(np.int32)) for k, a in enumerate(arrays)]
        write_set(tmp_path / f"{name}.h5", pictures)
    inputs = {"segmentation": tmp_path / "s.h5", "labels": tmp_path / "t.h5"}
    expected = json.loads(run_stage("evaluate-pictures", inputs)["metrics"].read_text())
    scored = floodrunner.cell_scores(found, truths)
    for name in ("dice", "iou", "average_precision", "count_error", "cells", "truth_cells", "pictures"):
        assert getattr(scored, name) == expected[name], name
    assert [row["merged"] for row in scored.table] == [2, 0]
    assert scored.sentences
    one = floodrunner.cell_scores(truths[0], truths[0])
    assert (one.dice, one.cells, one.pictures) == (1, 2, 1)
    named = floodrunner.cell_scores({"0001": truths[0]}, {"0001": truths[0]})
    assert named.table[0]["picture"] == "0001"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([MERGED[1], MERGED[1]], "2 pictures were found in, 1 have truth"),
        ([], "found: there are no pictures"),
        (MERGED[1] > 0, r"picture 0000 is bool \(20, 30\); labels are whole numbers"),
        (-MERGED[1], "has labels from -1 to 0"),
        (MERGED[1, 2:], "picture 0000 is 30 x 18 pixels, but in labels?"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(found: Any, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("labels?", ".*truth.h5 it is 30 x 20")):
        floodrunner.cell_scores(found, TRUTH[0].astype(np.int32))
