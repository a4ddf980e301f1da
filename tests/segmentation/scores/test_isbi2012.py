from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import ndimage
from skimage.metrics import variation_of_information

from floodrunner.segmentation.scores.isbi2012 import THRESHOLDS, over_thresholds, thinned, v_scores

LABELS = arrays(np.uint8, (4, 5), elements=st.integers(0, 3))
MASKS = arrays(bool, (9, 11), elements=st.booleans()) | arrays(bool, (4, 5)).map(lambda a: a.repeat(3, 0).repeat(3, 1))
CROSS = ndimage.generate_binary_structure(2, 1)


def by_pairs(segments: np.ndarray, truth: np.ndarray) -> float:
    """V_rand by definition, over ordered pairs of pixels, each with itself too; a pixel with segment 0 is alone."""
    pixels = [
        (("alone", k) if s == 0 else s, t)
        for k, (s, t) in enumerate(zip(segments.ravel().tolist(), truth.ravel().tolist(), strict=True))
        if t
    ]
    pairs = list(itertools.product(pixels, repeat=2))
    both = sum(a == b for a, b in pairs)
    precision = both / sum(a[0] == b[0] for a, b in pairs)
    recall = both / sum(a[1] == b[1] for a, b in pairs)
    return 2 / (1 / precision + 1 / recall)


def by_entropies(segments: np.ndarray, truth: np.ndarray) -> float:
    def entropy(names: list[object]) -> float:
        return -sum(n / len(names) * math.log2(n / len(names)) for n in Counter(names).values())

    s = [v or ("alone", k) for k, v in enumerate(segments.ravel().tolist()) if truth.ravel()[k]]
    t = [v for v in truth.ravel().tolist() if v]
    shared = entropy(s) + entropy(t) - entropy(list(zip(s, t, strict=True)))
    return 2 * shared / (entropy(s) + entropy(t)) if entropy(s) + entropy(t) else 1.0


@settings(max_examples=150, deadline=None)
@given(segments=LABELS, truth=LABELS.filter(np.any))
def test_equal_the_definitions_over_pixels(segments: np.ndarray, truth: np.ndarray) -> None:
    scores = v_scores(segments, truth)
    assert scores.v_rand == pytest.approx(by_pairs(segments, truth))
    assert scores.v_info == pytest.approx(by_entropies(segments, truth), abs=1e-12)


def test_v_info_is_what_scikit_images_entropies_make_it() -> None:
    rng = np.random.default_rng(4)
    segments, truth = rng.integers(1, 9, (40, 50)), rng.integers(0, 6, (40, 50))
    segments[:, :30] = truth[:, :30] + 1
    split, merge = variation_of_information(truth, segments, ignore_labels=(0,))
    inside = truth != 0
    entropies = [
        -(p * np.log2(p)).sum() for p in (np.bincount(a[inside])[1:] / inside.sum() for a in (segments, truth))
    ]
    assert v_scores(segments, truth).v_info == pytest.approx((sum(entropies) - split - merge) / sum(entropies))


def test_a_merger_and_a_split_by_hand() -> None:
    two, one = np.repeat([1, 2], 8).reshape(4, 4), np.ones((4, 4), int)
    assert v_scores(one, two) == (pytest.approx(2 * 0.5 / (1 + 0.5)), 0)
    assert v_scores(two, one) == (pytest.approx(2 * 0.5 / (1 + 0.5)), 0)
    four = np.repeat([1, 2, 3, 4], 4).reshape(4, 4)
    assert v_scores(four, two) == (pytest.approx(2 * 0.25 / (0.25 + 0.5)), pytest.approx(2 * 1 / (2 + 1)))
    assert v_scores(two, two) == (1, pytest.approx(1))
    assert v_scores(one, one) == (1, 1)


def test_without_a_cell_in_the_truth_there_is_no_score() -> None:
    with pytest.raises(ValueError, match="the truth has no cell"):
        v_scores(np.ones((3, 3), int), np.zeros((3, 3), int))


@settings(max_examples=150, deadline=None)
@given(cells=MASKS)
def test_thinning_leaves_lines_between_the_cells_that_were_there(cells: np.ndarray) -> None:
    segments = thinned(cells)
    pieces, count = ndimage.label(cells)
    assert len(np.unique(segments[segments > 0])) == count
    for piece in range(1, count + 1):
        (name,) = np.unique(segments[pieces == piece])  # grown, not split
        assert name > 0
    for one, other in ((segments[1:], segments[:-1]), (segments[:, 1:], segments[:, :-1])):
        assert ((one == other) | (one == 0) | (other == 0)).all()  # never side by side


def grid(wall: int, pitch: int = 20, n: int = 4) -> np.ndarray:
    """n x n square cells with walls of a width between them."""
    inside = np.arange(n * pitch) % pitch
    open_ = (inside >= wall // 2) & (inside < pitch - (wall - wall // 2))
    return open_[:, None] & open_[None, :]


@pytest.mark.parametrize("wall", [1, 2, 4, 8])
def test_how_wide_membranes_are_drawn_does_not_count(wall: int) -> None:
    truth, _ = ndimage.label(grid(4))
    scores = v_scores(thinned(grid(wall)), truth)
    assert scores.v_rand > 0.999
    assert scores.v_info > 0.999
    assert (thinned(grid(wall)) == 0).sum() == 2 * 3 * (80 - 3)  # 3 across, 3 along, without crossings
    if wall == 8:  # unthinned, it would
        assert v_scores(ndimage.label(grid(wall))[0], truth).v_rand < 0.95


def test_a_gap_in_a_wall_counts() -> None:
    truth, _ = ndimage.label(grid(4))
    cells = grid(4)
    cells[8, :30] = True  # joins two of sixteen cells
    scores = v_scores(thinned(cells), truth)
    # sum s^2 has one 4/256 for two 1/256; the sums of p^2 and t^2 stay
    assert scores.v_rand == pytest.approx(2 * 16 / (18 + 16), abs=2e-3)
    assert v_scores(thinned(np.ones_like(cells)), truth).v_rand == pytest.approx(2 / 16 / (1 + 1 / 16))
    assert v_scores(thinned(np.zeros_like(cells)), truth).v_rand < 0.01  # nothing found: all pixels alone


def test_each_threshold_has_its_scores() -> None:
    truth, _ = ndimage.label(grid(4))
    probability = np.where(grid(4), 0.95, 0.0).astype(np.float32)
    probability[8, :40] = np.maximum(probability[8, :40], 0.45)  # a faint gap between two cells
    scores = over_thresholds(probability, truth)
    assert len(scores) == len(THRESHOLDS) == 9
    for threshold, score in zip(THRESHOLDS, scores, strict=True):
        if threshold < 0.45:
            assert score.v_rand < 0.95
        else:
            assert score.v_rand > 0.999


@pytest.mark.real_data
def test_real_membranes(shared) -> None:
    rng = np.random.default_rng(2)
    checked = 0
    for file in sorted((shared / "isbi2012" / "labels").glob("*.png"))[:6]:
        cells = np.asarray(Image.open(file)) > 0
        truth, _ = ndimage.label(cells)
        perfect = v_scores(thinned(cells), truth)
        assert perfect == (1, pytest.approx(1))
        wide = v_scores(thinned(ndimage.binary_erosion(cells, CROSS, 1)), truth)
        assert wide.v_rand > 0.99
        holes = cells.copy()
        at = np.argwhere(~cells)
        for y, x in at[rng.choice(len(at), 60)]:
            holes[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = True
        broken = v_scores(thinned(holes), truth)
        assert 0.3 < broken.v_rand < wide.v_rand - 0.05
        checked += 1
    assert checked == 6
