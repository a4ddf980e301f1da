"""Growing objects: against google/ffn's own result on real data, and rule by rule with a network made up for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentation import backend
from segmentation.ffn import network as ffn
from segmentation.ffn.canvas import EXCLUDED, Attempt, Canvas, Options
from segmentation.ffn.mask import logit, quantise_probability
from segmentation.ffn.seeds import peaks

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
    assert (attempt.result, work.visited, attempt.fovs, attempt.id) == ("weak seed", [[(5, 10, 10)]], 1, 0)
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
    assert (small.result, small.voxels) == ("too small", voxels)
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
    whole, part = canvas(two_tubes), canvas(two_tubes)
    part._box = list(box)
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
    assert none.result == "too small"


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


@pytest.mark.real_data
def test_result_is_that_of_google_ffn(shared: Path) -> None:
    """The 7-million-step model on a 96 x 96 x 48 crop: same seeds, same fields of view, same voxels."""
    from PIL import Image

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    folder = shared / "snemi3d"
    reader = tf.train.load_checkpoint(str(folder / "checkpoint" / "model.ckpt-7000000"))
    network = ffn.Network(9, 32, (17, 33, 33), (4, 8, 8))
    model = ffn.build(network)
    ffn.set_weights(model, {name: reader.get_tensor(name) for name in ffn.weights(model)})
    forward = backend.forward(model)

    expected = np.load(folder / "reference" / "forward.npz")
    logits = forward(np.stack([expected["image"], expected["seed"]], -1))[..., 0]
    assert logits.shape == (12, 17, 33, 33)
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)

    sections = [np.array(Image.open(folder / "images" / f"{z:04d}.png"))[:96, :96] for z in range(48)]
    image = (np.stack(sections).astype(np.float32) - 131) / 62
    reference = folder / "reference" / "crop96"
    seeds = peaks(image)
    half = np.array(network.fov) // 2
    room = ((seeds >= half) & (seeds < np.array(image.shape) - half)).all(1)
    np.testing.assert_array_equal(seeds[room], np.load(reference / "seeds_zyx.npy"))

    work = Traced(image, forward, network.fov, network.deltas, Options())
    tried = [attempt for attempt in work.segment(seeds) if attempt is not None]
    trace = json.loads((reference / "trace.json").read_text())
    assert [list(a.seed) for a in tried] == [t["seed_zyx"] for t in trace]
    assert [[list(p) for p in visited] for visited in work.visited] == [t["fovs"] for t in trace]
    result = np.load(reference / "segmentation.npz")
    assert len(np.unique(result["segmentation"])) == 21
    np.testing.assert_array_equal(np.maximum(work.segmentation, 0), result["segmentation"])
    # A probability on the edge of a 1/254 step may fall to either side.
    assert np.abs(work.probability.astype(int) - result["qprob"]).max() <= 1
    assert (work.probability != result["qprob"]).sum() < 100
