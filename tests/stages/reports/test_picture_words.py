from __future__ import annotations

from typing import Any

import pytest

from floodrunner.segmentation.scores.cell_mistakes import CellMistakes
from floodrunner.stages.reports.picture_words import sentences

NONE = CellMistakes(*[0] * 9)


def said(*pictures: CellMistakes, cells: int | None = None, **report: Any) -> list[str]:
    """Sentences about pictures a, b, c, ...; `cells` is the number of segments."""
    rows = [("abcdefgh"[k], sum(one[:5]), one) for k, one in enumerate(pictures)]
    found = sum(one.found + one.too_many for one in pictures)
    figures = {"average_precision": {"0.50": 0.5}, "mean_average_precision": 0.25, "dice": 0.75}
    figures |= {"count_error": 0, "count_error_pooled": 0}
    truth = sum(cells for _, cells, _ in rows)
    return sentences(rows, {"truth_cells": truth, "cells": found if cells is None else cells} | figures | report)


@pytest.mark.parametrize(
    ("kind", "judged", "counted"),
    [
        ("merged", "Too many cells are merged", "6 merged with others"),
        ("split", "Too many cells are split", "6 split"),
        ("missed", "Too many cells are missed", "6 missed"),
        ("inexact", "Too many outlines are wrong", "6 with a wrong outline"),
        ("invented", "Too many cells are invented", "6 invented"),
        ("pieces", "Too many cells are split", "6 in excess, as pieces of found cells"),
        ("excess", "Too many segments are in excess", "6 in excess, partly in cells"),
    ],
)
def test_the_commonest_mistake_is_named_first(kind: str, judged: str, counted: str) -> None:
    mistakes = NONE._replace(found=5, missed=1)._replace(**{kind: 6})
    first, *_ = said(mistakes)
    assert first.startswith(f"{judged}: 5 of ")
    assert f" in 1 picture found (IoU above 0.5), {counted}" in first


def test_few_mistakes_are_good_and_still_counted() -> None:
    assert said(NONE._replace(found=9, missed=1), NONE._replace(found=1))[:2] == [
        "Good: 10 of 11 cells in 2 pictures found (IoU above 0.5), 1 missed",
        "Most is wrong in a (1 of 10 cells not found)",
    ]


def test_the_three_worst_pictures_are_named() -> None:
    pictures = [NONE._replace(found=4), NONE._replace(missed=1), NONE._replace(missed=3), NONE._replace(invented=2)]
    assert said(*pictures)[1] == (
        "Most is wrong in c (3 of 3 cells not found), d (2 too many), b (1 of 1 cell not found)"
    )


def test_scores_that_look_alike_are_told_apart() -> None:
    two = NONE._replace(found=4, missed=2), NONE._replace(found=1)
    assert said(*two, count_error=0.5, count_error_pooled=0.33)[2:] == [
        "Dice compares pixels (0.75), average precision whole cells: 0.50 if they overlap by more than half, 0.25 if "
        "outlines must match more closely (IoU 0.5 to 0.95). All are means over pictures",
        "The count error, 0.50, is a mean over pictures; of all cells together it is 0.33",
    ]
    assert said(two[0], count_error=0.33, count_error_pooled=0.33)[1:] == [
        "Dice compares pixels (0.75), average precision whole cells: 0.50 if they overlap by more than half, 0.25 if "
        "outlines must match more closely (IoU 0.5 to 0.95)"
    ]
    perfect = {"average_precision": {"0.50": 1.0}, "mean_average_precision": 1.0, "dice": 1.0}
    assert said(NONE._replace(found=1), **perfect) == [
        "All cells are found: 1 of 1 cell in 1 picture found (IoU above 0.5)"
    ]


def test_a_right_number_of_wrong_cells_is_told() -> None:
    assert said(NONE._replace(found=4, missed=2, invented=2))[-1] == (
        "The number of cells is right although some are not found: as many segments are wrong"
    )


def test_no_cell_found() -> None:
    assert said(NONE._replace(missed=4), cells=0) == ["No cell was found: all 4 are missed"]
    assert said(NONE._replace(missed=1), cells=0) == ["No cell was found: the only one is missed"]
