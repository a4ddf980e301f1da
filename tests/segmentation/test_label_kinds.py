from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.label_kinds import unsteady_share, values_of


def test_unsteady_share_by_brute_force() -> None:
    section = np.random.default_rng(0).integers(0, 3, (9, 12))
    both = either = 0
    for lines in (section, section.T):
        for line in lines:
            for left, here, right in zip(line, line[1:], line[2:], strict=False):
                if here:
                    both += left != here != right
                    either += here not in (left, right) or left != right
    assert unsteady_share([section]) == both / either
    assert unsteady_share([np.ones((5, 5), int)]) == 0


def grid(membrane: int, cell: int) -> np.ndarray:
    section = np.full((41, 41), cell)
    section[::10] = section[:, ::10] = membrane
    return section


def test_what_lies_between_many_pieces_is_a_membrane() -> None:
    values = values_of([grid(0, 9), grid(0, 9)])
    assert list(values) == [0, 9]
    assert values[0].membrane
    assert not values[9].membrane
    assert (values[0].pieces, values[9].pieces) == (1, 16)
    assert values[0].share == pytest.approx(1 - 16 * 81 / 41**2)


def test_what_parts_few_or_unequal_pieces_is_no_membrane() -> None:
    few = np.zeros((41, 41), int)
    few[20] = few[:, 20] = 3
    around = np.zeros((41, 41), int)
    around[1:9, 1:40] = 3
    for x in range(3, 39, 4):
        around[3:6, x : x + 3] = 0  # it holds nine pieces, but most is outside
    thick = np.full((41, 41), 3)
    thick[2::10, 2::10] = 0
    for section in (few, around, thick, np.zeros((9, 9), int)):
        assert not any(value.membrane for value in values_of([section]).values())


def test_specks_are_no_pieces_and_many_values_no_classes() -> None:
    section = grid(0, 9)
    section[5, 5] = 0
    assert values_of([section])[0].pieces == 1
    assert list(values_of([section, section + 1])) == [0, 1, 9, 10]
    section[3, 3] = 77
    assert values_of([section, section + 1]) is None
