from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation import float_greys
from floodrunner.segmentation.float_greys import FloatGreys

RNG = np.random.default_rng(5)


def test_percentiles_are_those_of_all_sections_together() -> None:
    sections = RNG.normal(0, 1, (5, 40, 50)).astype(np.float32)
    sections[2] += 3
    found = FloatGreys(iter(sections), 5)
    assert found.percentiles() == tuple(np.percentile(sections, [0.1, 99.9], method="inverted_cdf"))
    assert (found.minimum, found.maximum) == (sections.min(), sections.max())
    assert found.outside(-1, 4) == (float((sections < -1).mean()), float((sections > 4).mean()))
    assert not found.bad


def test_a_part_is_enough_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float_greys, "_SAMPLE", 4000)
    sections = RNG.random((5, 100, 100))
    one, other = (FloatGreys(iter(sections), 5).percentiles(10, 90) for _ in range(2))
    assert one == other == pytest.approx((0.1, 0.9), abs=0.03)


def test_nan_borders_and_blank_sections_do_not_move_the_percentiles() -> None:
    sections = 10 + RNG.random((4, 40, 50))
    expected = np.percentile(sections[:2, :, 10:], [0.1, 99.9], method="inverted_cdf")
    sections[0, :, :10], sections[1, :, :10], sections[2], sections[3] = 0, np.nan, -7, np.inf
    found = FloatGreys(iter(sections), 4)
    assert found.percentiles() == tuple(expected)
    assert found.minimum == -7
    assert found.bad == {1: 400, 3: 2000}


def test_a_stack_without_greys() -> None:
    found = FloatGreys(iter(np.full((2, 4, 4), np.nan)), 2)
    assert not len(found)
    assert np.isnan([found.minimum, found.maximum, *found.percentiles()]).all()
    assert found.outside(0, 1) == (0, 0)
    every = FloatGreys(iter(np.full((2, 4, 4), 0.5)), 2)
    assert every.percentiles() == (0.5, 0.5)
