"""The canvas against plain flood-filling, on volumes made to be awkward; and that each of its rules is needed there.

The networks are cheap, deterministic and know no tissue: their logits are multiples of a quarter, so that maxima tie
and values fall on thresholds; some let objects die. Seeds are crowded, on borders, and in reach of each other.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from segmentation.ffn import canvas as canvas_module
from segmentation.ffn import movement as movement_module
from segmentation.ffn.canvas import Canvas, Options

sys.path.insert(0, str(Path(__file__).parent))
from plain import Result, flood_fill  # not a package: it lies beside this file

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


@cache
def expected(number: int) -> Result:
    c = case(number)
    return flood_fill(c.image, c.network, c.fov, c.deltas, c.options, [tuple(s) for s in c.seeds.tolist()])


def difference(number: int, module: ModuleType = canvas_module) -> str:
    """What the canvas of `module` makes otherwise than plain flood-filling; "" where nothing is."""
    c, plain = case(number), expected(number)
    views: list[bytes] = []

    def network(given: np.ndarray) -> np.ndarray:
        views.append(given.tobytes())
        if len(views) > 2000:
            raise RuntimeError("it never ends")
        return c.network(given)

    work = module.Canvas(c.image, network, c.fov, c.deltas, c.options)
    try:
        attempts = list(work.segment(c.seeds))
    except (RuntimeError, IndexError, ValueError, AssertionError) as error:  # of a mutant
        return f"{type(error).__name__}: {error}"
    if [a and tuple(vars(a).values()) for a in attempts] != plain.attempts:
        return "attempts"
    if len(views) != sum(map(len, plain.visited)):
        return "fields of view"
    for name in ("segmentation", "probability"):
        dense = np.zeros(c.image.shape, int)
        for voxel, value in getattr(plain, name).items():
            dense[voxel] = value
        if not np.array_equal(getattr(work, name), dense):
            return name
    return ""


@pytest.mark.parametrize("first", range(0, VOLUMES, 20))
def test_result_is_that_of_plain_flood_filling(first: int) -> None:
    assert {number: found for number in range(first, first + 20) if (found := difference(number))} == {}


def test_fields_of_view_come_in_the_same_order() -> None:
    for number in range(0, VOLUMES, 7):
        c = case(number)
        visited: list[tuple[int, ...]] = []

        class Traced(Canvas):
            def _update(self, work: Any, position: Any) -> np.ndarray:
                visited.append(position)  # noqa: B023  # used up before the next one
                return super()._update(work, position)

        list(Traced(c.image, c.network, c.fov, c.deltas, c.options).segment(c.seeds))
        assert visited == list(chain.from_iterable(expected(number).visited))


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


def mutant(name: str, old: str, new: str) -> ModuleType:
    """The canvas with one piece of its source, or of the movement's, replaced."""
    made = {}
    for module in (movement_module, canvas_module):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        if module.__name__.endswith(name):
            assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {name}"
            source = source.replace(old, new)
        made[module.__name__] = changed = ModuleType(f"mutant_of_{module.__name__}")
        sys.modules[changed.__name__] = changed  # dataclasses look there
        exec(compile(source, str(module.__file__), "exec"), changed.__dict__)
    movement, canvas = made[movement_module.__name__], made[canvas_module.__name__]
    vars(canvas).update(Moves=movement.Moves, face_maxima=movement.face_maxima)
    return canvas


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        # The moves.
        ("movement", "return sorted(found, reverse=True)", "return sorted(found)"),
        ("movement", "return sorted(found, reverse=True)", "return sorted(found, key=lambda f: (-f[0], f[1]))"),
        ("movement", "if score >= threshold:", "if score > threshold:"),
        ("movement", "face.argmax()", "face.size - 1 - face.ravel()[::-1].argmax()"),
        ("movement", "for offset in (-delta, delta) if delta", "for offset in (delta,) if delta"),
        ("movement", "if delta else ()", ""),
        ("movement", "self._queue.extend(found)", "self._queue.extendleft(found)"),
        ("movement", "not in self._visited and may_visit", "is not None and may_visit"),
        ("movement", "self._visited.add(self._cell(", "self._visited.add(("),
        ("movement", "(p - s + d // 2) // max(d, 1)", "(p - s) // max(d, 1)"),
        ("movement", "(p - s + d // 2) // max(d, 1)", "(p + d // 2) // max(d, 1)"),
        ("movement", "(p - s + d // 2) // max(d, 1)", "int((p - s + d // 2) / max(d, 1))"),
        # Where an object may start.
        ("canvas", "if not self._fits(seed) or self.segmentation[seed] > 0:", "if not self._fits(seed):"),
        ("canvas", "max(p - d, 0), p + d + 1", "max(p - d, 0), p + d"),
        ("canvas", "max(p - d, 0), p + d + 1", "max(p - d + 1, 0), p + d + 1"),
        ("canvas", "= EXCLUDED\n            return False", "\n            return False"),
        ("canvas", "self.mask[self._touched] = np.nan", "pass"),
        ("canvas", "self.mask[seed] = self._init", "self.mask[seed] = self._move"),
        # Where the field of view may go, and when it stops.
        ("canvas", "h <= p < n - h", "h < p < n - h"),
        ("canvas", "h <= p < n - h", "h <= p < n - h - 1"),
        ("canvas", "bool(self.mask[position] >= self._move and ", "bool("),
        ("canvas", " and self.segmentation[position] <= 0)", ")"),
        ("canvas", "            if self.mask[work.seed] < self._move:\n                break", ""),
        ("canvas", "if self.mask[work.seed] < self._move:", "if self.mask[work.seed] <= self._move:"),
        # The mask.
        ("canvas", "np.where(fresh, self._pad, old)", "np.where(fresh, 0, old)"),
        ("canvas", "if threshold >= 0 and ", "if threshold > 0 and "),
        ("canvas", "if threshold >= 0 and ", "if "),
        ("canvas", "np.mean(logits >= self._move) > threshold", "np.mean(logits >= self._move) >= threshold"),
        ("canvas", "np.mean(logits >= self._move) > threshold", "np.mean(logits > self._move) > threshold"),
        ("canvas", "np.mean(logits >= self._move) > threshold", "np.mean(old >= self._move) > threshold"),
        ("canvas", "(old < 0) & (logits > old)", "(old <= 0) & (logits > old)"),
        ("canvas", "(old < 0) & (logits > old)", "(old < 0)"),
        ("canvas", "(old < 0) & (logits > old)", "(logits > old)"),
        ("canvas", "logits = np.where(held, old, logits)", "pass"),
        # What becomes of it.
        ("canvas", "if self.mask[seed] < self._move:", "if False:"),
        ("canvas", "self.mask[box] >= self._segment", "self.mask[box] > self._segment"),
        ("canvas", "self.mask[box] >= self._segment", "self.mask[box] >= self._move"),
        ("canvas", "mask &= claimed <= 0", "pass"),
        ("canvas", "mask &= claimed <= 0", "mask &= claimed == 0"),
        ("canvas", "mask & (claimed > 0)", "claimed > 0"),
        ("canvas", "if voxels < self._options.min_segment_size:", "if voxels <= self._options.min_segment_size:"),
        ("canvas", "= EXCLUDED\n            return Attempt(seed, 0, vo", "\n            return Attempt(seed, 0, vo"),
        ("canvas", "max(a.stop, b.stop)", "b.stop"),
    ],
)  # fmt: skip
def test_each_rule_broken_is_seen(name: str, old: str, new: str) -> None:
    broken = mutant(name, old, new)
    assert any(difference(number, broken) for number in range(VOLUMES))


def test_an_unbroken_copy_is_not_taken_for_broken() -> None:
    whole = mutant("canvas", "self.max_id += 1", "self.max_id = self.max_id + 1")
    assert not any(difference(number, whole) for number in range(40))


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_state_taken_within_any_call_of_the_network_goes_on_exactly(first: int) -> None:
    interrupted = 0
    for number in range(first, first + 20):
        c, plain = case(number), expected(number)
        calls = sum(map(len, plain.visited))
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
            assert [a and tuple(vars(a).values()) for a in done] == plain.attempts
            assert count == calls
            dense = np.zeros(c.image.shape, int)
            for voxel, value in plain.segmentation.items():
                dense[voxel] = value
            np.testing.assert_array_equal(work.segmentation, dense)
    assert interrupted > 30
