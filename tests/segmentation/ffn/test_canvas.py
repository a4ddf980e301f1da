"""Growing objects: against google/ffn's own result on real data, and rule by rule with a network made up for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from floodrunner.segmentation.ffn.canvas import EXCLUDED, Attempt, Canvas, Options
from floodrunner.segmentation.ffn.logits import logit, quantise_probability
from floodrunner.segmentation.ffn.seeds import peaks

FOV, DELTAS = (5, 5, 5), (1, 1, 1)


class Traced(Canvas):
    """Keeps where the field of view was, seed by seed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.visited: list[list[tuple[int, int, int]]] = []

    def _begin(self, seed: tuple[int, int, int]) -> None:
        self.visited.append([])
        super()._begin(seed)

    def _update(self, work: Any, position: tuple[int, int, int]) -> np.ndarray:
        self.visited[-1].append(position)
        return super()._update(work, position)


def grows_in_bright(given: np.ndarray) -> np.ndarray:
    """A network that knows the truth: the object is what is bright and connected to what the mask already has."""
    from scipy.ndimage import label

    bright, mask = given[0, ..., 0] > 0, given[0, ..., 1] > 0
    pieces, _ = label(bright)
    reached = np.isin(pieces, np.unique(pieces[mask & bright])) & bright
    return np.where(reached, 4.0, -4.0).astype(np.float32)[None, ..., None]


def canvas(image: np.ndarray, forward: Any = grows_in_bright, **options: Any) -> Traced:
    return Traced(image.astype(np.float32), forward, FOV, DELTAS, Options(**{"min_segment_size": 1, **options}))


def attempts(of: Canvas, *seeds: tuple[int, int, int]) -> list[Attempt | None]:
    return list(of.segment(np.array(seeds)))


@pytest.fixture
def two_tubes() -> np.ndarray:
    image = np.full((12, 24, 24), -1.0)
    image[3:9, 3:9, 2:22] = 1  # one along x
    image[3:9, 12:20, 4:20] = 1  # and its neighbour
    return image


def test_each_object_is_one_connected_piece(two_tubes: np.ndarray) -> None:
    from scipy.ndimage import label

    work = canvas(two_tubes)
    first, second = attempts(work, (5, 5, 5), (5, 15, 15))
    truth, _ = label(two_tubes > 0)
    assert first is not None
    assert second is not None
    for attempt in (first, second):
        mine = work.segmentation == attempt.id
        assert attempt.voxels == mine.sum()
        assert (truth[mine] == attempt.id).all()
        # Not all of it: ties send the field of view to one of several maxima, which leaves a corner here and there.
        assert mine.sum() > 0.85 * (truth == attempt.id).sum()
    assert work.visited[0][0] == first.seed
    assert len(work.visited[0]) == first.fovs > 20


def test_probability_is_quantised_where_claimed_and_zero_elsewhere(two_tubes: np.ndarray) -> None:
    work = canvas(two_tubes)
    attempts(work, (5, 5, 5))
    claimed = work.segmentation == 1
    assert set(np.unique(work.probability[claimed])) == {int(quantise_probability(1 / (1 + np.exp(-4.0))))}
    assert not work.probability[~claimed].any()


def test_seeds_on_or_beside_a_segment_are_not_started(two_tubes: np.ndarray) -> None:
    work = canvas(two_tubes)
    _, on, beside = attempts(work, (5, 5, 5), (5, 5, 10), (5, 9, 10))
    assert on is None
    assert beside is None
    assert work.segmentation[5, 5, 10] == 1
    assert work.segmentation[5, 9, 10] == EXCLUDED


def test_a_seed_two_voxels_off_is_started_unless_the_distance_says_otherwise(two_tubes: np.ndarray) -> None:
    assert attempts(canvas(two_tubes), (5, 5, 5), (5, 10, 10))[1] is not None
    assert attempts(canvas(two_tubes, min_boundary_dist=(1, 2, 1)), (5, 5, 5), (5, 10, 10))[1] is None


def test_a_seed_without_room_for_the_field_of_view_is_not_started(two_tubes: np.ndarray) -> None:
    assert attempts(canvas(two_tubes), (5, 5, 1)) == [None]
    assert attempts(canvas(two_tubes), (5, 5, 2)) != [None]


def test_a_seed_that_gets_too_weak_ends_its_object(two_tubes: np.ndarray) -> None:
    work = canvas(two_tubes)
    (attempt,) = attempts(work, (5, 10, 10))  # dark: the first prediction is below the move threshold
    assert attempt is not None
    assert (work.visited, attempt.fovs, attempt.id, attempt.voxels) == ([[(5, 10, 10)]], 1, 0, 0)
    assert work.segmentation[5, 10, 10] == EXCLUDED
    assert work.max_id == 0


def test_an_object_that_is_too_small_is_given_up_and_its_voxels_stay_free(two_tubes: np.ndarray) -> None:
    whole = canvas(two_tubes)
    attempts(whole, (5, 5, 5))
    voxels = int((whole.segmentation == 1).sum())
    work = canvas(two_tubes, min_segment_size=voxels + 1)
    small, large = attempts(work, (5, 5, 5), (5, 15, 15))
    assert small is not None
    assert large is not None
    assert (small.id, small.voxels) == (0, voxels)
    assert large.id == 1
    assert (work.segmentation[3:9, 3:9, 2:22] <= 0).all()


def test_voxels_that_an_earlier_object_has_stay_its_own() -> None:
    def everything(given: np.ndarray) -> np.ndarray:
        return np.where(given[..., :1] > 0, 4.0, -4.0).astype(np.float32)

    image = np.ones((9, 9, 20))
    work = canvas(image, everything)
    work.segmentation[:, :, :8] = 7
    work.max_id = 7
    (attempt,) = attempts(work, (4, 4, 12))
    assert attempt is not None
    assert attempt.id == 8
    assert (work.segmentation[:, :, :8] == 7).all()
    assert attempt.overlapped == ((7, int((work.mask[:, :, :8] >= logit(0.6)).sum())),)
    assert attempt.overlapped[0][1] > 0
    assert not any(position[2] < 8 for position in work.visited[0])  # nor does the field of view go there


def test_what_was_told_apart_stays_apart_unless_disco_is_off() -> None:
    calls = []

    def rises_later(given: np.ndarray) -> np.ndarray:
        """First says no to everything but the centre and one neighbour, then yes to everything."""
        calls.append(1)
        logits = np.full((1, *FOV, 1), 4.0 if len(calls) > 1 else -4.0, np.float32)
        logits[0, 2, 2, 2:4] = 4.0
        return logits

    image = np.ones((7, 7, 9))
    held = canvas(image, rises_later)
    attempts(held, (3, 3, 3))
    assert len(calls) > 1
    first = np.zeros((7, 7, 9), bool)
    first[1:6, 1:6, 1:6] = True
    first[3, 3, 3:5] = False
    assert first.sum() == 123
    assert (held.mask[first] == -4).all()
    calls.clear()
    free = canvas(image, rises_later, disco_seed_threshold=-1)
    attempts(free, (3, 3, 3))
    assert (free.mask[first] == 4).sum() > 50


def test_only_voxels_in_the_box_count_for_the_size(two_tubes: np.ndarray) -> None:
    """Context around what is segmented, reflected or real, must not lift an object over the smallest size."""
    box = (slice(0, 12), slice(0, 24), slice(10, 24))
    whole = canvas(two_tubes)
    part = Traced(two_tubes.astype(np.float32), grows_in_bright, FOV, DELTAS, Options(min_segment_size=1), box)
    (a,), (b,) = attempts(whole, (5, 5, 12)), attempts(part, (5, 5, 12))
    assert a is not None
    assert b is not None
    assert a.voxels == (whole.segmentation == 1).sum()
    assert b.voxels == (part.segmentation[box] == 1).sum()
    assert 0 < b.voxels < a.voxels
    strict = Traced(
        two_tubes.astype(np.float32), grows_in_bright, FOV, DELTAS, Options(min_segment_size=b.voxels + 1), box
    )
    (none,) = attempts(strict, (5, 5, 12))
    assert none is not None
    assert (none.id, none.voxels) == (0, b.voxels)


def in_request(probability: float) -> float:
    """The logit of a probability that went through a field of type float."""
    return float(logit(float(np.float32(probability))))


@pytest.mark.parametrize("name", ["init_activation", "pad_value", "segment_threshold", "move_threshold"])
def test_settings_are_single_precision_as_in_google_ffns_request(name: str) -> None:
    """The probability is rounded, then its logit, on one for which the first makes a difference."""
    value = next(p for p in np.linspace(0.55, 0.85, 500).tolist() if np.float32(in_request(p)) != np.float32(logit(p)))
    work = canvas(np.ones((9, 9, 9)), **{"move_threshold": 0.5, name: value})
    attribute = {"init_activation": "_init", "pad_value": "_pad", "segment_threshold": "_segment"}.get(name, "_move")
    assert getattr(work, attribute) == np.float32(in_request(value))
    assert getattr(work, attribute).dtype == np.float32


@pytest.mark.parametrize("up", [False, True])
def test_faces_are_held_against_a_logit_that_was_not_rounded(up: bool) -> None:
    """A face at the rounded value is a hit where rounding went up, and none where it went down."""
    value = next(
        p for p in np.linspace(0.6, 0.9, 200).tolist() if (float(np.float32(in_request(p))) > in_request(p)) == up
    )

    def at_the_threshold(given: np.ndarray) -> np.ndarray:
        logits = np.full((1, *FOV, 1), -4.0, np.float32)
        logits[0, 2, 2, 2] = 4.0
        logits[0, 2, 2, 3] = in_request(value)
        return logits

    work = canvas(np.ones((9, 9, 12)), at_the_threshold, move_threshold=value)
    attempts(work, (4, 4, 5))
    assert work.visited[0][:2] == ([(4, 4, 5), (4, 4, 6)] if up else [(4, 4, 5)])


def test_the_share_that_tells_disconnected_voxels_is_single_precision_too() -> None:
    """0.04 is 0.0399999991 there: five voxels of 125 are more than that."""
    calls = []

    def five_of_125(given: np.ndarray) -> np.ndarray:
        calls.append(1)
        logits = np.full((1, *FOV, 1), -4.0 if len(calls) == 1 else -1.0, np.float32)
        logits[0, 2, 2] = 4.0
        return logits

    work = canvas(np.ones((7, 7, 9)), five_of_125, disco_seed_threshold=0.04)
    attempts(work, (3, 3, 3))
    assert len(calls) > 1
    assert (work.mask[1:6, 1:3, 1:6] == -4).all()


def test_quantised_probability() -> None:
    values = np.array([np.nan, 0.0, 0.5, 0.999, 1.0])
    assert quantise_probability(values).tolist() == [0, 1, 128, 254, 255]


def test_seeds_are_far_from_edges_and_in_order() -> None:
    image = np.full((24, 48, 48), 0.0, np.float32)
    image[:, 22:26] = -3  # a membrane across y
    found = peaks(image + np.random.default_rng(1).normal(0, 0.01, image.shape).astype(np.float32))
    assert len(found) > 2
    assert found.tolist() == sorted(found.tolist())
    assert not np.isin(found[:, 1], (21, 22, 25, 26)).any()
