"""The canvas against plain flood-filling, on volumes made to be awkward; and that each of its rules is needed there.

The networks are cheap, deterministic and know no tissue: their logits are multiples of a quarter, so that maxima tie
and values fall on thresholds; some let objects die. Seeds are crowded, on borders, and in reach of each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from floodrunner.segmentation.ffn.canvas import Canvas, Options
from tests.segmentation.ffn import plain
from tests.segmentation.ffn.plain import FloodFill, Voxel

pytestmark = pytest.mark.xdist_group("flooding")  # one worker keeps all that plain flood-filling has found

VOLUMES = 300


def grows_in_bright(given: np.ndarray) -> np.ndarray:
    """Follows what is bright: neighbours that touch are one object, by what lies between them."""
    image, seed = given[0, ..., 0], given[0, ..., 1]
    near = ndimage.maximum_filter(seed, 3, mode="nearest")
    return _quarters(np.where(image > 0, np.minimum(near + 0.5, 4), np.minimum(seed, 0) + image))


def wavers(given: np.ndarray) -> np.ndarray:
    """Blurs mask and image together: values rise and fall again as the field of view comes by."""
    image, seed = given[0, ..., 0], given[0, ..., 1]
    return _quarters(0.5 * seed + 0.4 * ndimage.uniform_filter(seed, 3, mode="nearest") + 0.7 * image)


def tires(given: np.ndarray) -> np.ndarray:
    """Shrinks what has become large, its seed included."""
    return _quarters(wavers(given)[0, ..., 0] + 1 - 3.5 * (given[0, ..., 1] > 0).mean())


def doubts(given: np.ndarray) -> np.ndarray:
    """Is sure of what is not dark; once there, where it is rather dark, it is sure of nothing, or just so of all."""
    image = given[0, ..., 0]
    middle = image[tuple(n // 2 for n in image.shape)]
    if middle < 0:
        return _quarters(np.full(image.shape, 0.0 if middle == -0.25 else 1.0))
    return _quarters(np.where(image > -0.75, 4.0, -2.0))


def _quarters(logits: np.ndarray) -> np.ndarray:
    return (np.round(logits * 4) / 4).astype(np.float32)[None, ..., None]


NETWORKS = (grows_in_bright, wavers, tires, doubts)


@dataclass(frozen=True)
class Case:
    image: np.ndarray
    network: Callable[[np.ndarray], np.ndarray]
    fov: tuple[int, int, int]
    deltas: tuple[int, int, int]
    options: Options
    seeds: np.ndarray


@cache
def case(number: int) -> Case:
    random = np.random.default_rng(number)
    shape = tuple(random.integers(9, 17, 3).tolist())
    blobs = ndimage.gaussian_filter(random.normal(size=shape), 1.2)
    image = np.clip(np.round(blobs / blobs.std() * 4) / 4 + random.choice([0.0, 0.5]), -2, 2).astype(np.float32)
    if number % 3 == 0:  # two slabs that meet in a face one voxel thin
        image[:, :, shape[2] // 2] = random.choice([-1.0, 0.0, 0.5])
    fov, deltas = [((3, 5, 5), (1, 1, 1)), ((5, 5, 5), (1, 2, 1)), ((5, 5, 5), (2, 2, 2)), ((3, 5, 5), (0, 2, 2))][
        random.integers(4)
    ]
    options = Options(
        init_activation=0.95,
        pad_value=float(random.choice([0.05, 0.3, 0.5])),
        move_threshold=float(random.choice([0.5, 0.6, 0.9])),
        segment_threshold=float(random.choice([0.5, 0.6, 0.8])),
        min_boundary_dist=tuple(random.integers(0, 3, 3).tolist()),
        min_segment_size=int(random.choice([1, 8, 30])),
        disco_seed_threshold=float(random.choice([-1.0, 0.0, 0.0, 0.2])),
    )
    seeds = random.integers(0, shape, (int(random.integers(10, 24)), 3))
    seeds = np.concatenate([seeds, np.minimum(seeds[:3] + random.integers(0, 2, (3, 3)), np.array(shape) - 1)])
    return Case(image, NETWORKS[number % 4], fov, deltas, options, seeds[np.lexsort(seeds.T[::-1])])


class Kept:
    """A network, and all that it was given: image and mask in each field of view, in order."""

    def __init__(self, network: Callable[[np.ndarray], np.ndarray]) -> None:
        self.network = network
        self.views: list[bytes] = []

    def __call__(self, given: np.ndarray) -> np.ndarray:
        self.views.append(given.tobytes())
        if len(self.views) > 2000:
            raise NeverEnds
        return self.network(given)


class NeverEnds(Exception):
    pass


@cache
def expected(number: int) -> FloodFill:
    return flood_fill(number, FloodFill)


def flood_fill(number: int, rules: type[FloodFill]) -> FloodFill:
    c = case(number)
    done = rules(c.image, Kept(c.network), c.fov, c.deltas, c.options)
    done([(z, y, x) for z, y, x in c.seeds.tolist()])
    return done


def difference(number: int) -> str:
    """What the canvas makes otherwise than plain flood-filling; "" where nothing is."""
    c, plainly = case(number), expected(number)
    network, result = Kept(c.network), plainly.result
    work = Canvas(c.image, network, c.fov, c.deltas, c.options)
    if [a and tuple(vars(a).values()) for a in work.segment(c.seeds)] != result.attempts:
        return "attempts"
    if network.views != plainly.network.views:
        return "fields of view"
    for name in ("segmentation", "probability"):
        if not np.array_equal(getattr(work, name), dense(getattr(result, name), c.image.shape)):
            return name
    return ""


def dense(voxels: dict[Voxel, int], shape: tuple[int, ...]) -> np.ndarray:
    made = np.zeros(shape, int)
    for voxel, value in voxels.items():
        made[voxel] = value
    return made


@pytest.mark.parametrize("first", range(0, VOLUMES, 20))
def test_result_is_that_of_plain_flood_filling(first: int) -> None:
    assert {number: found for number in range(first, first + 20) if (found := difference(number))} == {}


def test_every_rule_had_something_to_do() -> None:
    """Else the comparison would say nothing of it."""
    happened = Counter(chain.from_iterable(expected(number).happened for number in range(VOLUMES)))
    assert set(happened) == {
        "cell visited before",
        "created",
        "faces tie",
        "fell below the threshold while it waited",
        "held down",
        "move into a segment",
        "no room",
        "overlap",
        "seed got too weak with moves left",
        "seed in a segment",
        "seed too close to a segment",
        "seed without room",
        "too small",
        "weak seed",
    }
    assert min(happened.values()) >= 5, happened


BROKEN: dict[str, dict[str, Callable[..., Any]]] = {
    # The moves.
    "the weakest face comes first": {"order": lambda self, found: sorted(found)},
    "of equal faces the smaller offset comes first": {
        "order": lambda self, found: sorted(found, key=lambda each: (-each[0], each[1]))
    },
    "a face just at the threshold suggests no move": {
        "suggests": lambda self, top: top > plain.logit(self.options.move_threshold)
    },
    "of equal voxels of a face the last counts": {"of_equal": lambda self, voxels: voxels[-1]},
    "only faces behind the centre": {"sides": lambda self, delta: (delta,) if delta else ()},
    "an axis without deltas has faces": {"sides": lambda self, delta: (-delta, delta)},
    "the last found is visited first": {"queued": lambda self, queue, found: found[::-1] + queue},
    "cells are visited again": {"cell": lambda self, position, seed: object()},
    "a cell is a voxel": {"cell": lambda self, position, seed: position},
    "cells begin at the seed": {"cell": lambda self, *where: lattice(self, *where, centred=False)},
    "cells are centred on the origin": {"cell": lambda self, position, seed: lattice(self, position, (0, 0, 0))},
    "cells are rounded towards the seed": {"cell": lambda self, *where: lattice(self, *where, rounded=int)},
    # Where an object may start.
    "an object starts in a segment": {
        "in_segment": lambda self, seed: False,
        "near": lambda self, seed: near(self, seed) if self.free(seed) else [],
    },
    "a segment just behind the seed is not seen": {
        "near": lambda self, seed: [v for v in near(self, seed) if all(map(less_far, v, seed, distances(self)))]
    },
    "a segment just before the seed is not seen": {
        "near": lambda self, seed: [v for v in near(self, seed) if all(map(less_far, seed, v, distances(self)))]
    },
    "a seed too close is not marked": {"exclude": lambda self, seed, why: exclude(self, seed, why, "seed too close")},
    "the mask of the last object stays": {"first_mask": lambda self, seed: self.mask | {seed: self.init}},
    "a seed begins at the move threshold": {"first_mask": lambda self, seed: {seed: self.move}},
    # Where the field of view may go, and when it stops.
    "no field of view at the lower border": {
        "fits": lambda self, at: fits(self, at) and all(p != h for p, h in zip(at, self.half, strict=True))
    },
    "no field of view at the upper border": {
        "fits": lambda self, at: all(
            h <= p < n - h - 1 for p, h, n in zip(at, self.half, self.image.shape, strict=True)
        )
    },
    "moves to what has become weak": {"strong_enough": lambda self, position: True},
    "moves into segments": {"free": lambda self, position: True},
    "goes on when the seed is too weak": {"seed_too_weak": lambda self, seed: False},
    "stops when the seed is just strong enough": {"seed_too_weak": lambda self, seed: self.mask[seed] <= self.move},
    # The mask.
    "outside, the mask is undecided": {"before": lambda self, voxel: self.mask.get(voxel, 0.0)},
    "a share of 0 switches holding off": {
        "holds_down": lambda self, share: share > self.options.disco_seed_threshold > 0
    },
    "holding cannot be switched off": {
        "holds_down": lambda self, share: share > float(np.float32(self.options.disco_seed_threshold))
    },
    "a share just at the threshold holds": {
        "holds_down": lambda self, share: share >= float(np.float32(self.options.disco_seed_threshold)) >= 0
    },
    "voxels just at the threshold are not in the share": {
        "share": lambda self, logits: sum(value > self.move for value in logits.values()) / len(logits)
    },
    "the share is of the mask before": {
        "share": lambda self, logits: sum(self.mask.get(v, -9) >= self.move for v in logits) / len(logits)
    },
    "undecided voxels are held": {"held": lambda self, old, new: old <= 0 and new > old},
    "held voxels cannot fall": {"held": lambda self, old, new: old < 0},
    "all voxels are held": {"held": lambda self, old, new: new > old},
    "no voxel is held": {"held": lambda self, old, new: False},
    # What becomes of it.
    "an object whose seed is lost is made": {"seed_lost": lambda self, seed: False},
    "voxels just at the threshold are left out": {
        "body": lambda self, fovs: [voxel for voxel, value in self.mask.items() if value > self.segment]
    },
    "an object is what moves reach": {
        "body": lambda self, fovs: [voxel for voxel, value in self.mask.items() if value >= self.move]
    },
    "voxels of other objects are taken": {"own": lambda self, body: body},
    "voxels of failed seeds are not taken": {
        "own": lambda self, body: [voxel for voxel in body if self.claimed.get(voxel, 0) == 0]
    },
    "overlaps count outside the object": {
        "others": lambda self, body: [self.claimed[voxel] for voxel in self.mask if self.claimed.get(voxel, 0) > 0]
    },
    "an object of the smallest size is too small": {
        "too_small": lambda self, voxels: voxels <= self.options.min_segment_size
    },
    "the seed of what is too small is not marked": {
        "exclude": lambda self, seed, why: exclude(self, seed, why, "too small")
    },
    "an object ends with its last field of view": {
        "body": lambda self, fovs: [
            v for v in body(self, fovs) if all(p <= q + h for p, q, h in zip(v, fovs[-1], self.half, strict=True))
        ]
    },
}
"""Rules as they are not, each under what is wrong with it."""

body, fits, near = FloodFill.body, FloodFill.fits, FloodFill.near


def lattice(
    self: FloodFill, position: Voxel, seed: Voxel, centred: bool = True, rounded: Callable[[float], int] = math.floor
) -> tuple[int, ...]:
    return tuple(
        rounded((p - s + (d // 2 if centred else 0)) / max(d, 1))
        for p, s, d in zip(position, seed, self.deltas, strict=True)
    )


def exclude(self: FloodFill, seed: Voxel, why: str, forgotten: str) -> None:
    if why != forgotten:
        FloodFill.exclude(self, seed, why)


def distances(self: FloodFill) -> Voxel:
    return self.options.min_boundary_dist


def less_far(one: int, other: int, distance: int) -> bool:
    return one - other < distance


@pytest.mark.parametrize("wrong", BROKEN)
def test_each_rule_broken_is_seen(wrong: str) -> None:
    """A canvas with this rule would differ from plain flood-filling, as plain flood-filling with this rule does."""
    broken = type("Broken", (FloodFill,), BROKEN[wrong])
    assert any(differs(number, broken) for number in range(VOLUMES))


def differs(number: int, broken: type[FloodFill]) -> bool:
    try:
        found, right = flood_fill(number, broken), expected(number)
    except NeverEnds:
        return True
    return found.result != right.result or found.network.views != right.network.views


def test_an_unbroken_copy_is_not_taken_for_broken() -> None:
    whole = type("Whole", (FloodFill,), {"fits": lambda self, voxel: FloodFill.fits(self, voxel)})
    assert not any(differs(number, whole) for number in range(40))


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_state_taken_within_any_call_of_the_network_goes_on_exactly(first: int) -> None:
    interrupted = 0
    for number in range(first, first + 20):
        c, result = case(number), expected(number).result
        calls = sum(map(len, result.visited))
        for at in np.random.default_rng(number).integers(0, max(calls, 1), 3).tolist():
            done: list[Any] = []
            saved: list[Any] = []
            count = 0

            def network(given: np.ndarray) -> np.ndarray:
                nonlocal count
                if count == at and not saved:  # noqa: B023
                    arrays, values = work.state()  # noqa: B023
                    saved.append(({k: a.copy() for k, a in arrays.items()}, values))  # noqa: B023
                    raise Interrupted
                count += 1
                return c.network(given)  # noqa: B023

            def canvas() -> Canvas:
                return Canvas(c.image, network, c.fov, c.deltas, c.options)  # noqa: B023

            work = canvas()
            try:
                for attempt in work.segment(c.seeds):
                    done.append(attempt)
            except Interrupted:
                interrupted += 1
                work = canvas()
                work.restore(*saved[0])
                done += work.segment(c.seeds[len(done) :])
            assert [a and tuple(vars(a).values()) for a in done] == result.attempts
            assert count == calls
            np.testing.assert_array_equal(work.segmentation, dense(result.segmentation, c.image.shape))
    assert interrupted > 30
