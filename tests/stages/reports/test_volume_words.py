from __future__ import annotations

import numpy as np

from floodrunner.segmentation.scores import rand_and_vi
from floodrunner.segmentation.scores.mistakes import mistakes
from floodrunner.stages.reports.volume_words import What, difference, limits, nothing, place, verdict


def said(segment: np.ndarray, truth: np.ndarray, what: What = "neurons") -> list[str]:
    table = rand_and_vi.overlaps(segment, truth)
    both, ignored = (rand_and_vi.score(table, ignore_unsegmented=each) for each in (False, True))
    unsegmented = float((segment[truth > 0] == 0).mean())
    labelled = float((truth > 0).mean())
    return verdict(mistakes(table), both, ignored, rand_and_vi.objects(truth), unsegmented, labelled, what)


def blocks(count: int, size: int = 100) -> np.ndarray:
    return np.arange(1, count + 1).repeat(size).reshape(count, 10, size // 10)


def test_one_object_over_all() -> None:
    truth = blocks(12)
    assert said(np.ones_like(truth), truth) == [
        "Too many merges (precision 0.08 where segmented): 1 object joins 12 neurons; 0 of 12 neurons are one object "
        "each"
    ]


def test_splits_of_cells() -> None:
    truth = blocks(4)
    segment = np.arange(truth.size).reshape(truth.shape) // 20
    segment[truth == 4] = 99
    segment += 1
    assert said(segment, truth, "cells") == [
        "Too many splits (recall 0.39 where segmented): 3 cells are in 15 objects; 1 of 4 cells is one object"
    ]


def test_what_is_unsegmented() -> None:
    truth = blocks(4)
    assert said(np.where(truth < 3, truth, 0), truth, "objects")[0] == (
        "Too much is unsegmented (50 % of the voxels with ground truth): 2 of 4 objects of the truth are mostly "
        "missing; 2 of 4 objects of the truth are one object each"
    )
    rim = truth.copy()
    rim[:, :, :2] = 0
    assert said(rim, truth)[0] == (
        "Too much is unsegmented (20 % of the voxels with ground truth): at least half of each neuron is segmented; 4 "
        "of 4 neurons are one object each"
    )


def test_good_with_what_is_left() -> None:
    truth = blocks(20)
    segment = truth.copy()
    segment[truth == 2] = 1
    segment[4, 5:] = 99
    assert said(segment, truth) == [
        "Good (adapted Rand error 0.061; 0 is perfect): 17 of 20 neurons are one object each; the largest error is "
        "merges (precision 0.91 where segmented): 1 object joins 2 neurons",
        "Also splits (recall 0.97 where segmented): 1 neuron is in 2 objects",
    ]


def test_small_errors_of_many_small_objects_are_no_good_result() -> None:
    """One large object is right, and hides in the Rand error that the ten small ones are all in one."""
    truth = np.ones((11, 30, 30), np.int64)
    truth[0].ravel()[:100] = np.arange(2, 12).repeat(10)
    first, *_ = said(np.where(truth > 1, 2, 1), truth)
    assert first.startswith(
        "Good for the largest only (adapted Rand error 0.000; 0 is perfect): 1 of 11 neurons is one"
    )
    assert "; too many merges (precision over 0.99 where segmented): 1 object joins 10 neurons" in first


def test_a_mistake_is_one_short_line() -> None:
    truth = blocks(5)
    (one,) = mistakes(rand_and_vi.overlaps(np.full_like(truth, 8), truth)).ranked
    assert place(one, one.bits, (3, 2, 1), "cells") == (
        "object 8 joins cells 1, 2 and 3 more: 100 %; look at x 3, y 2, z 1"
    )


def test_limits_and_the_two_errors() -> None:
    assert (
        limits(3, (5, 6, 7), (0, 0, 9), 1, 0, "cells")
        == "Measured on 3 cells in 7 x 6 x 5 voxels at 9 x 0 x 0 (x, y, z)"
    )
    assert limits(1, (5, 6, 7), (0, 0, 0), 0.004, 0, "neurons").endswith(
        "0.4 % of which have ground truth; nothing else is judged; with one neuron, merges cannot show"
    )
    both = rand_and_vi.Score(0.25, 1, 1, 0, 0)
    assert difference(both, both._replace(adapted_rand_error=0.125)) == (
        "The adapted Rand error is 0.2500 if unsegmented voxels count as one more object, and 0.1250 if they are left "
        "out"
    )


def test_a_missing_object_comes_before_inexact_borders_although_it_costs_nothing() -> None:
    truth = blocks(20)
    segment = np.where(truth == 7, 0, truth)
    segment[1, 0, 0] = 1
    first, *_ = said(segment, truth)
    assert first.endswith(
        "19 of 20 neurons are one object each; the largest error is unsegmented (5 % of the voxels with ground truth): "
        "1 of 20 neurons is mostly missing"
    )


def test_perfect_is_said_of_what_has_ground_truth_only() -> None:
    truth = blocks(4)
    assert said(truth, truth) == ["Perfect: each of the 4 neurons is one object, with exactly its voxels"]
    assert said(truth, np.where(truth == 4, 0, truth)) == [
        "Perfect: each of the 3 neurons is one object, with exactly its voxels, where there is ground truth"
    ]
    assert limits(3, (4, 10, 10), (0, 0, 0), 0.75, 1, "neurons").endswith(
        ", 75 % of which have ground truth; nothing else is judged: 1 object lies only there"
    )


def test_specks_are_no_splits() -> None:
    truth = blocks(4, 1000)
    segment = truth.copy()
    segment[:, ::3, ::25] = np.arange(segment[:, ::3, ::25].size).reshape(segment[:, ::3, ::25].shape) + 10
    (first,) = said(segment, truth)
    assert first.startswith("Good (adapted Rand error 0.0")
    assert "4 of 4 neurons are one object each" in first
    assert first.endswith("where segmented): 64 tiny objects lie in neurons, but no neuron is in two objects")


def test_good_for_the_largest_is_said_only_if_they_are_right() -> None:
    truth = blocks(4, 1000)
    segment = truth.copy()
    segment[:, :, :2] += 10
    first, *_ = said(segment, truth)
    assert first == (
        "Too many splits (recall 0.96 where segmented): 4 neurons are in 8 objects; 0 of 4 neurons are one object each"
    )


def test_one_object_alone_has_no_counts() -> None:
    truth = blocks(1)
    segment = truth.copy()
    segment[:, 5:] = 2
    assert said(segment, truth) == ["Too many splits (recall 0.49 where segmented): the only neuron is in 2 objects"]
    assert nothing(1, "objects") == ("There is no object in the segmentation: the only object of the truth is missing")
    assert nothing(4, "cells") == "There is no object in the segmentation: all 4 cells are missing"


def test_almost_all_and_almost_nothing_are_not_rounded_away() -> None:
    for labelled, words in ((0.99996, "over 99.9 %"), (1e-7, "under 0.01 %"), (0.995, "99.5 %"), (0.5, "50 %")):
        assert f", {words} of which" in limits(2, (1, 1, 1), (0, 0, 0), labelled, 1, "cells")


def test_ids_of_the_truth_are_told_from_those_of_objects() -> None:
    (one,) = mistakes(rand_and_vi.overlaps(np.full((1, 2, 3), 8), np.arange(1, 7).reshape(1, 2, 3) // 3 + 3)).ranked
    assert place(one, one.bits, (3, 2, 1), "objects").startswith("object 8 joins true objects 4, 3 and 5: 100 %")
