from __future__ import annotations

import numpy as np

from floodrunner.segmentation.matching import colour_ids, recoloured
from floodrunner.segmentation.scores.rand_and_vi import overlaps


def pairs(segmentation: list[int], truth: list[int]) -> dict[int, int]:
    ids, colours = colour_ids(overlaps(np.array(segmentation, np.uint32), np.array(truth, np.uint64)))
    return dict(zip(ids.tolist(), colours.tolist(), strict=True))


def test_objects_have_the_ids_of_their_neurons() -> None:
    assert pairs([0, 5, 5, 5, 9, 9], [3, 3, 3, 0, 8, 8]) == {0: 0, 5: 3, 9: 8}


def test_of_a_split_neuron_the_largest_part_has_its_id() -> None:
    assert pairs([1, 1, 2, 2, 2, 3], [7, 7, 7, 7, 7, 7]) == {2: 7, 1: 1, 3: 2}


def test_a_merged_object_has_the_id_of_one_of_its_neurons() -> None:
    assert pairs([4, 4, 4, 4, 4, 6], [1, 1, 2, 2, 2, 1]) == {4: 2, 6: 1}


def test_a_part_that_lost_its_neuron_to_a_larger_one_takes_its_next() -> None:
    assert pairs([1] * 5 + [2] * 4, [7] * 5 + [7] * 3 + [8]) == {1: 7, 2: 8}


def test_objects_without_truth_have_ids_of_their_own() -> None:
    assert pairs([0, 1, 2, 3], [0, 0, 6, 0]) == {0: 0, 2: 6, 1: 1, 3: 2}
    assert pairs([4, 5, 6, 7], [1, 0, 0, 2**64 - 4]) == {4: 1, 7: 2**64 - 4, 5: 2, 6: 3}
    assert pairs([0, 0], [0, 4]) == {0: 0}
    assert pairs([5, 6], [0, 0]) == {5: 1, 6: 2}


def test_no_two_objects_share_an_id() -> None:
    rng = np.random.default_rng(1)
    found = pairs(rng.integers(0, 50, 2000).tolist(), rng.integers(0, 30, 2000).tolist())
    assert len(found) == 50
    assert len(set(found.values())) == 50


def test_labels_get_the_ids_for_their_colours() -> None:
    labels = np.array([[0, 2**40, 3], [3, 3, 0]], np.uint64)
    shown = recoloured(labels, np.array([0, 3, 2**40], np.uint64), np.array([0, 11, 12], np.uint64))
    np.testing.assert_array_equal(shown, [[0, 12, 11], [11, 11, 0]])
