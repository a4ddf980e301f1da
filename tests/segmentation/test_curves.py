from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation import curves

BLUE, RED = (0, 114, 178), (213, 94, 0)


def rows_of(picture: np.ndarray, colour: tuple[int, int, int], columns: slice) -> np.ndarray:
    """Rows with a colour, below the legend."""
    return np.flatnonzero((picture[30:, columns] == colour).all(-1).any(1)) + 30


def test_curves_run_where_their_values_are() -> None:
    picture = curves.draw([100, 200, 300, 400], {"loss": [1.0, 0.75, 0.5, 0.25], "flat": [0.5] * 4})
    assert picture.shape == (540, 960, 3)
    assert picture.dtype == np.uint8
    left, right = (rows_of(picture, BLUE, columns).mean() for columns in (slice(285, 290), slice(930, 935)))
    assert left < right  # it falls: rows count downwards
    flat = rows_of(picture, RED, slice(600, 610))
    assert np.ptp(flat) <= 4
    crossing = rows_of(picture, BLUE, slice(720, 730)).mean()
    assert abs(crossing - flat.mean()) < 8  # at step 300 both are 0.5
    bottom, top = 490, 30  # 0 and 1
    assert abs(flat.mean() - (bottom + top) / 2) < 3


def test_what_is_not_finite_is_left_out() -> None:
    picture = curves.draw([1, 2, 3], {"loss": [np.nan, 1.0, np.inf]})
    assert (picture == BLUE).all(-1).any()


def test_one_step_and_zeros_can_be_drawn() -> None:
    assert (curves.draw([7], {"loss": [0.0]}) == BLUE).all(-1).any()


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 steps, values: \{'loss': 1\}"):
        curves.draw([1, 2], {"loss": [1.0]})
    with pytest.raises(ValueError, match="0 steps"):
        curves.draw([], {})
