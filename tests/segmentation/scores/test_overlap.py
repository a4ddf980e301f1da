from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from floodrunner.segmentation.scores.overlap import dice, iou

MASK = arrays(bool, (3, 4))


@given(found=MASK, truth=MASK)
def test_equal_the_definitions_over_sets_of_pixels(found: np.ndarray, truth: np.ndarray) -> None:
    one, other = ({tuple(at) for at in np.argwhere(mask)} for mask in (found, truth))
    assert dice(found, truth) == (2 * len(one & other) / (len(one) + len(other)) if one or other else 1)
    assert iou(found, truth) == (len(one & other) / len(one | other) if one or other else 1)


def test_one_follows_from_the_other() -> None:
    rng = np.random.default_rng(1)
    found, truth = rng.random((2, 50, 60)) > 0.6
    jaccard = iou(found, truth)
    assert dice(found, truth) == pytest.approx(2 * jaccard / (1 + jaccard))
    assert 0.2 < jaccard < 0.4


@given(st.integers(1, 6))
def test_known_cases(n: int) -> None:
    truth = np.zeros((6, 6), bool)
    truth[:n] = True
    assert dice(truth, truth) == iou(truth, truth) == 1
    assert dice(~truth & False, truth) == iou(~truth & False, truth) == 0
    whole = np.ones((6, 6), bool)
    assert iou(whole, truth) == n / 6
    assert dice(whole, truth) == pytest.approx(2 * n / (6 + n))
