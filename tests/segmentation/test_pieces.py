from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.pieces import of_length


@pytest.mark.parametrize("cuts", [[], [0], [5], [3, 7, 7, 19], [10, 20], list(range(23))])
@pytest.mark.parametrize("length", [1, 4, 5, 23, 99])
def test_cuts_and_joins_pieces(cuts: list[int], length: int) -> None:
    numbers = np.arange(23)
    pieces = list(of_length(np.split(numbers, cuts), length))
    assert {len(piece) for piece in pieces[:-1]} <= {length}
    assert 0 < len(pieces[-1]) <= length
    np.testing.assert_array_equal(np.concatenate(pieces), numbers)


def test_nothing_gives_no_piece() -> None:
    assert list(of_length([np.arange(0)], 3)) == []
