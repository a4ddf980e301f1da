"""Examples: what the network is shown, and how the field of view moves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from floodrunner.segmentation.ffn.examples import Examples, patch_shape
from floodrunner.segmentation.ffn.logits import logit

FOV, DELTAS = (3, 5, 5), (1, 2, 2)
SHAPE = (20, 30, 30)


@pytest.fixture
def volumes() -> tuple[np.ndarray, np.ndarray]:
    """An image in which every voxel is its own number, and labels in big random blocks, some 0."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 4, (5, 6, 6)).repeat(4, 0).repeat(5, 1).repeat(5, 2)
    return np.arange(np.prod(SHAPE)).reshape(SHAPE), labels


def examples(volumes: tuple[np.ndarray, np.ndarray], batch: int = 3, seed: int = 1, augment: bool = True) -> Examples:
    half = np.array(patch_shape(FOV, DELTAS)) // 2

    def centres(generator: np.random.Generator, n: int) -> np.ndarray:
        return generator.integers(half, np.array(SHAPE) - half, (n, 3))

    return Examples(*volumes, 0.0, 1.0, centres, FOV, DELTAS, batch, np.random.default_rng(seed), augment)


def test_the_mask_starts_as_one_seed_in_padding(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    given, _ = examples(volumes).batch()
    assert given.shape == (3, *FOV, 2)
    expected = np.full(FOV, logit(0.05), np.float32)
    expected[1, 2, 2] = logit(0.95)
    for mask in given[..., 1]:
        np.testing.assert_array_equal(mask, expected)


def test_soft_labels_mark_the_object_at_the_centre(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    """The image tells which voxel of the volume each one is, however the example was turned."""
    labels = volumes[1].ravel()
    some = examples(volumes, batch=16)
    seen = set()
    for _ in range(20):
        given, target = some.batch()
        where = given[..., 0].astype(int)
        for i, example in enumerate(some._examples):
            label = volumes[1][example.centre]
            inside = (labels[where[i]] == label) & (label != 0)
            np.testing.assert_array_equal(target[i, ..., 0], np.where(inside, np.float32(0.95), np.float32(0.05)))
            seen.add((bool(label), bool(inside.any()), bool(inside.all())))
        some.update(np.full((16, *FOV, 1), -3.0, np.float32))  # nothing found: every example is replaced
    assert seen >= {(False, False, False), (True, True, False), (True, True, True)}


def test_examples_are_turned_in_all_sixteen_ways(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    some = examples(volumes, batch=8)
    ways = set()
    for _ in range(40):
        for given in some.batch()[0]:
            image = given[..., 0]
            ways.add(tuple(int(image[p] - image[1, 2, 2]) for p in [(2, 2, 2), (1, 3, 2), (1, 2, 3)]))
        some.update(np.full((8, *FOV, 1), -3.0, np.float32))
    plane, row = SHAPE[1] * SHAPE[2], SHAPE[2]
    pairs = {(a, b) for y in (row, -row) for x in (1, -1) for a, b in ((y, x), (x, y))}
    assert ways == {(z, *pair) for z in (plane, -plane) for pair in pairs}

    still = examples(volumes, augment=False).batch()[0][0, ..., 0]
    assert (still[2, 2, 2] - still[1, 2, 2], still[1, 2, 3] - still[1, 2, 2]) == (plane, 1)


def test_no_swap_where_the_field_of_view_is_no_square(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    def centre(generator: np.random.Generator, n: int) -> np.ndarray:
        return np.full((n, 3), 10)

    some = Examples(*volumes, 0.0, 1.0, centre, (3, 5, 7), (1, 2, 2), 64, np.random.default_rng(1))
    assert not any(example.swap for example in some._examples)
    assert any(any(example.flips) for example in some._examples)


def test_the_field_of_view_goes_where_the_mask_reaches_the_threshold(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    some = examples(volumes, batch=1)
    offsets = []
    centre = some._examples[0].centre
    yes_on_the_right = np.full((1, *FOV, 1), -3.0, np.float32)
    yes_on_the_right[..., 3:, :] = 3.0
    while some._examples[0].centre == centre:
        offset = some._examples[0].offset
        offsets.append(offset)
        some.batch()
        some.update(yes_on_the_right if offset == (0, 0, 0) else np.full((1, *FOV, 1), 3.0, np.float32))
    assert offsets[0] == (0, 0, 0)
    assert len(offsets) == len(set(offsets)) > 9  # each once; more than the right side, as that leads further
    assert offsets[1][2] == 2  # the right side, and nothing else, after the first


def test_without_a_prediction_above_the_threshold_the_example_ends(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    some = examples(volumes, batch=2)
    first = [e.centre for e in some._examples]
    some.update(np.full((2, *FOV, 1), logit(0.9) - 0.01, np.float32))
    assert all(a != e.centre for a, e in zip(first, some._examples, strict=True))


def test_predictions_go_into_the_mask_where_the_field_of_view_is(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    some = examples(volumes, batch=1)
    some.update(np.full((1, *FOV, 1), 5.0, np.float32))
    offset = some._examples[0].offset
    assert any(offset)
    given, _ = some.batch()
    fresh = given[0, ..., 1] == np.float32(logit(0.05))
    overlap = np.prod([n - abs(o) for n, o in zip(FOV, offset, strict=True)])
    assert fresh.sum() == np.prod(FOV) - overlap
    assert (given[0, ..., 1][~fresh] == 5).all()


def test_going_on_from_a_saved_state_is_going_on(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    def follow(some: Examples, generator: np.random.Generator, steps: int) -> list[np.ndarray]:
        seen = []
        for _ in range(steps):
            given, _ = some.batch()
            seen.append(given)
            some.update(generator.normal(2, 1, (3, *FOV, 1)).astype(np.float32))
        return seen

    undisturbed = examples(volumes)
    follow(undisturbed, np.random.default_rng(7), 30)
    state = undisturbed.state()
    masks = state.pop("masks").copy()
    state = json.loads(json.dumps(state)) | {"masks": masks}
    expected = follow(undisturbed, np.random.default_rng(8), 30)
    other = examples(volumes, seed=99)
    other.restore(state)
    for a, b in zip(expected, follow(other, np.random.default_rng(8), 30), strict=True):
        np.testing.assert_array_equal(a, b)
