from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment

from floodrunner.segmentation.scores.detection import IOU_THRESHOLDS, average_precision, count_error

LABELS = arrays(np.int32, (4, 5), elements=st.integers(0, 4))
BIG = arrays(np.int32, (3, 3), elements=st.integers(0, 2)).map(lambda a: a.repeat(3, 0).repeat(3, 1))


def by_sets(found: np.ndarray, truth: np.ndarray, thresholds: tuple[float, ...]) -> list[float]:
    """By definition: sets of pixels, and the assignment with the most hits."""
    cells, segments = (
        [{tuple(at) for at in np.argwhere(array == id_)} for id_ in np.unique(array) if id_] for array in (truth, found)
    )
    if not cells and not segments:
        return [1.0] * len(thresholds)
    ratio = np.array([[len(a & b) / len(a | b) for b in segments] for a in cells]).reshape(len(cells), len(segments))
    scores = []
    for threshold in thresholds:
        hits = int((ratio > threshold)[linear_sum_assignment(-(ratio > threshold).astype(int))].sum())
        scores.append(hits / (hits + (len(cells) - hits) + (len(segments) - hits)))
    return scores


@settings(max_examples=150, deadline=None)
@given(found=LABELS | BIG.map(lambda a: a[:4, :5]), truth=BIG.map(lambda a: a[1:5, 2:7]))
def test_equals_the_definition_over_sets_of_pixels(found: np.ndarray, truth: np.ndarray) -> None:
    thresholds = (*IOU_THRESHOLDS, 0.51, 0.66)
    assert average_precision(found, truth, thresholds) == pytest.approx(by_sets(found, truth, thresholds))


def test_of_two_cells_one_is_found_roughly_and_a_third_is_imagined() -> None:
    truth = np.zeros((10, 30), np.int32)
    truth[:, :10], truth[:, 20:] = 7, 3
    found = np.zeros_like(truth)
    found[:, :8] = 1  # IoU 0.8
    found[5:, 12:18] = 2
    scores = dict(zip(IOU_THRESHOLDS, average_precision(found, truth), strict=True))
    assert scores[0.5] == scores[0.75] == pytest.approx(1 / 3)
    assert scores[0.8] == scores[0.95] == 0  # more than, not at least
    assert average_precision(truth, truth) == [1] * 10


def test_merged_cells_are_one_miss_more_than_split_ones() -> None:
    two = np.repeat([1, 2], 50).reshape(10, 10)
    one = np.ones_like(two)
    assert average_precision(one, two)[0] == 0  # each half is 0.5, not more
    assert average_precision(two, one)[0] == 0
    uneven = np.repeat([1, 2], [80, 20]).reshape(10, 10)
    assert average_precision(one, uneven)[0] == average_precision(uneven, one)[0] == 1 / 2


def test_nothing_there_and_nothing_found() -> None:
    none, some = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert average_precision(none, none) == [1] * 10
    assert average_precision(some, none) == average_precision(none, some) == [0] * 10


def test_thresholds() -> None:
    assert IOU_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    for wrong in (0.4, 1.0):
        with pytest.raises(ValueError, match=r"must be 0\.5 or more, and below 1"):
            average_precision(np.ones((2, 2), int), np.ones((2, 2), int), [0.5, wrong])


def test_count_error() -> None:
    assert [count_error(*pair) for pair in ((8, 10), (12, 10), (10, 10), (0, 4), (3, 0), (0, 0))] == [
        0.2, 0.2, 0, 1, None, None
    ]  # fmt: skip


@pytest.mark.real_data
def test_real_nuclei_as_mere_components_of_their_mask(shared) -> None:
    """Touching nuclei become one: what a perfect mask is worth without a way to take them apart."""
    scores = []
    for file in sorted((shared / "dsb2018" / "labels").glob("*.png")):
        truth = np.asarray(Image.open(file)).astype(np.int32)
        found = label(truth > 0)[0]
        assert average_precision(truth, truth) == [1] * 10
        scores.append(average_precision(found, truth)[0])
    assert np.mean(scores) == pytest.approx(0.858, abs=1e-3)
    assert max(scores) == 1
