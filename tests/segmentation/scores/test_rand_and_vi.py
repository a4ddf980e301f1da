from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.metrics import adapted_rand_error, contingency_table, variation_of_information

from floodrunner.segmentation.scores import rand_and_vi

LABELS = arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 4))


def pair_counts(segment: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """By definition, over all pairs of voxels: joined in both, in the segmentation, in the truth."""
    joined = [
        (a[0] == b[0], a[1] == b[1])
        for a, b in itertools.combinations(zip(segment.ravel(), truth.ravel(), strict=True), 2)
    ]
    return sum(s and t for s, t in joined), sum(s for s, _ in joined), sum(t for _, t in joined)


@settings(max_examples=60, deadline=None)
@given(segment=LABELS, truth=LABELS)
def test_equals_the_definition_over_pairs_of_voxels(segment: np.ndarray, truth: np.ndarray) -> None:
    table = rand_and_vi.overlaps(segment, truth)
    for ignore, use in ((False, truth != 0), (True, (truth != 0) & (segment != 0))):
        score = rand_and_vi.score(table, ignore)
        both, segmented, true = pair_counts(segment[use], truth[use])
        if segmented and true and both:
            precision, recall = both / segmented, both / true
            assert score.precision == pytest.approx(precision)
            assert score.recall == pytest.approx(recall)
            assert score.adapted_rand_error == pytest.approx(1 - 2 / (1 / precision + 1 / recall))


@settings(max_examples=60, deadline=None)
@given(segment=LABELS, truth=LABELS.filter(lambda truth: np.bincount(truth.ravel())[1:].max(initial=0) > 1))
def test_equals_scikit_image(segment: np.ndarray, truth: np.ndarray) -> None:
    score = rand_and_vi.score(rand_and_vi.overlaps(segment, truth), ignore_unsegmented=False)
    error, their_precision, their_recall = adapted_rand_error(truth, segment, ignore_labels=(0,))
    split, merge = variation_of_information(truth, segment, ignore_labels=(0,))
    assert score.adapted_rand_error == pytest.approx(error)
    assert score.vi_split == pytest.approx(split, abs=1e-12)
    assert score.vi_merge == pytest.approx(merge, abs=1e-12)
    if not math.isnan(their_recall):  # theirs is 0 / 0 where no segment has two voxels
        assert score.precision == pytest.approx(their_recall)  # the two are the other way round there
    assert score.recall == pytest.approx(their_precision)


@settings(max_examples=30, deadline=None)
@given(segment=LABELS, truth=LABELS)
def test_the_table_is_scikit_images_also_when_added_up_from_parts(segment: np.ndarray, truth: np.ndarray) -> None:
    table = rand_and_vi.combine(rand_and_vi.overlaps(s, t) for s, t in zip(segment, truth, strict=True))
    ours = np.zeros((5, 5))
    ours[table.truth, table.segment] = table.voxels
    theirs = contingency_table(truth, segment).toarray()
    np.testing.assert_array_equal(ours[: theirs.shape[0], : theirs.shape[1]], theirs)
    assert table.voxels.sum() == segment.size
    assert (table.voxels > 0).all()


def test_a_merge_lowers_precision_and_shows_in_vi_merge() -> None:
    truth = np.repeat([1, 2], 8).reshape(2, 2, 4)
    score = rand_and_vi.score(rand_and_vi.overlaps(np.ones_like(truth), truth), ignore_unsegmented=False)
    assert score.recall == 1
    assert score.precision == pytest.approx(2 * 28 / 120)
    assert (score.vi_split, score.vi_merge) == (0, 1)  # one bit: which of the two halves


def test_a_split_lowers_recall_and_shows_in_vi_split() -> None:
    segment = np.repeat([1, 2, 3, 4], 4).reshape(2, 2, 4)
    score = rand_and_vi.score(rand_and_vi.overlaps(segment, np.ones_like(segment)), ignore_unsegmented=False)
    assert score.precision == 1
    assert score.recall == pytest.approx(4 * 6 / 120)
    assert (score.vi_split, score.vi_merge) == (2, 0)


def test_unsegmented_voxels_are_one_more_segment_or_left_out() -> None:
    truth = np.repeat([1, 2], 8).reshape(2, 2, 4)
    segment = np.where(np.arange(16).reshape(truth.shape) % 2, truth, 0)
    assert rand_and_vi.score(rand_and_vi.overlaps(segment, truth), ignore_unsegmented=True) == (0, 1, 1, 0, 0)
    counted = rand_and_vi.score(rand_and_vi.overlaps(segment, truth), ignore_unsegmented=False)
    assert counted.adapted_rand_error == pytest.approx(1 - 2 * 24 / (28 + 12 + 56))


def test_nothing_segmented_is_one_segment_or_nothing_to_compare() -> None:
    truth = np.repeat([1, 2], 8).reshape(2, 2, 4)
    table = rand_and_vi.overlaps(np.zeros_like(truth), truth)
    assert rand_and_vi.score(table, ignore_unsegmented=True) == (1, 0, 0, None, None)
    assert rand_and_vi.score(table, ignore_unsegmented=False).precision == pytest.approx(2 * 28 / 120)


def test_single_voxels_alone_are_perfect_only_if_the_truth_says_so() -> None:
    alone = np.arange(1, 9).reshape(2, 2, 2)
    assert rand_and_vi.score(rand_and_vi.overlaps(alone, alone), False) == (0, 1, 1, 0, 0)
    assert rand_and_vi.score(rand_and_vi.overlaps(alone, np.ones_like(alone)), False)[:3] == (1, 1, 0)


def test_ids_beyond_float64_and_counts_whose_squares_pass_int64() -> None:
    big = np.array([2**63 + 1, 2**63 + 2], np.uint64)
    table = rand_and_vi.Overlaps(big, big, np.array([2**40, 2**40]))
    assert rand_and_vi.score(table, False) == (0, 1, 1, 0, 0)
    assert len(rand_and_vi.overlaps(big, big).voxels) == 2
    assert rand_and_vi.objects(big) == 2


@pytest.mark.real_data
def test_equals_scikit_image_on_google_ffns_segmentation_of_real_tissue(shared: Path) -> None:
    segment = np.load(shared / "snemi3d" / "reference" / "crop96" / "segmentation.npz")["segmentation"]
    sections = sorted((shared / "snemi3d" / "labels").glob("*.png"))[:48]
    truth = np.stack([np.asarray(Image.open(path))[:96, :96] for path in sections])
    assert segment.shape == truth.shape
    for ignore, ids in ((False, segment), (True, segment[segment != 0])):
        true = truth if not ignore else truth[segment != 0]
        score = rand_and_vi.score(rand_and_vi.overlaps(segment, truth), ignore)
        error, recall, precision = adapted_rand_error(true, ids, ignore_labels=(0,))
        expected = (error, precision, recall, *variation_of_information(true, ids, ignore_labels=(0,)))
        assert score == pytest.approx(expected)
        assert score.adapted_rand_error == pytest.approx(0.0954 if ignore else 0.5216, abs=5e-5)
