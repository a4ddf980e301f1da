from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.unet.kept_out import drawn


@pytest.mark.parametrize(("number", "count"), [(2, 1), (10, 3), (120, 24)])
def test_where_all_have_cells_the_draw_is_a_plain_permutation(number: int, count: int) -> None:
    chosen = drawn([True] * number, count, 2, np.random.default_rng(4))
    assert chosen == np.random.default_rng(4).permutation(number)[:count].tolist()


@pytest.mark.parametrize(
    ("full", "empty", "count", "needed", "expected"),
    [
        (2, 6, 1, 1, (1, 0)),  # one is kept out, the other is trained on
        (40, 60, 20, 2, (8, 12)),  # in proportion
        (90, 10, 20, 2, (18, 2)),
        (5, 95, 20, 2, (1, 19)),
        (3, 17, 4, 2, (1, 3)),
        (1, 7, 1, 1, (0, 1)),  # none to spare
        (2, 8, 2, 2, (0, 2)),
        (3, 1, 2, 2, (1, 1)),
        (4, 1, 3, 2, (2, 1)),
        (99, 1, 1, 2, (1, 0)),
    ],
)
def test_pictures_with_cells_are_drawn_first_and_in_proportion(
    full: int, empty: int, count: int, needed: int, expected: tuple[int, int]
) -> None:
    with_cells = np.random.default_rng(9).permutation([True] * full + [False] * empty).tolist()
    for seed in range(20):
        chosen = drawn(with_cells, count, needed, np.random.default_rng(seed))
        kinds = [with_cells[number] for number in chosen]
        assert (kinds.count(True), kinds.count(False)) == expected
        assert len(set(chosen)) == len(chosen)
        assert chosen == drawn(with_cells, count, needed, np.random.default_rng(seed))


def test_another_seed_draws_others() -> None:
    with_cells = [number % 3 > 0 for number in range(30)]
    assert len({tuple(drawn(with_cells, 6, 2, np.random.default_rng(seed))) for seed in range(10)}) > 5
