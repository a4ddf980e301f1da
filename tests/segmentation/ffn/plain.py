"""Flood-filling inference, restated voxel by voxel: slow, and plain enough to be checked by reading.

Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Inference"; the rules as google/ffn keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

import numpy as np

Voxel = tuple[int, int, int]
Found = tuple[float, Voxel]
"""A value of the mask and where it is."""


@dataclass
class Result:
    segmentation: dict[Voxel, int] = field(default_factory=dict)
    """Id of each claimed voxel, -1 for a seed that came to nothing."""
    probability: dict[Voxel, int] = field(default_factory=dict)
    attempts: list[tuple[Any, ...] | None] = field(default_factory=list)
    """For each seed None, or seed, id, voxels, fields of view, what became of it, overlaps."""
    visited: list[list[Voxel]] = field(default_factory=list)


def logit(p: float) -> float:
    p = float(np.float32(p))
    return math.log(p / (1 - p))


@cache
def box(reach: Voxel) -> list[Voxel]:
    """Offsets of all voxels of a box from its centre."""
    return list(product(*(range(-r, r + 1) for r in reach)))


def around(voxel: Voxel, reach: Voxel) -> list[Voxel]:
    z, y, x = voxel
    return [(z + dz, y + dy, x + dx) for dz, dy, dx in box(reach)]


class FloodFill:
    """Each small method is one rule. A test can override it, to see that the rule shows in the result.

    `happened` holds which of the rules had something to do.
    """

    def __init__(
        self,
        image: np.ndarray,
        network: Callable[[np.ndarray], np.ndarray],
        fov: Voxel,
        deltas: Voxel,
        options: Any,
    ) -> None:
        self.image, self.network, self.fov, self.deltas, self.options = image, network, fov, deltas, options
        self.half: Voxel = tuple(n // 2 for n in fov)  # type: ignore[assignment]
        self.init, self.pad, self.move, self.segment = (
            float(np.float32(logit(p)))
            for p in (options.init_activation, options.pad_value, options.move_threshold, options.segment_threshold)
        )
        self.result = Result()
        self.claimed = self.result.segmentation
        self.mask: dict[Voxel, float] = {}
        self.next_id = 1
        self.happened: set[str] = set()

    # Where an object may start, and with which mask.

    def fits(self, voxel: Voxel) -> bool:
        return all(h <= p < n - h for p, h, n in zip(voxel, self.half, self.image.shape, strict=True))

    def near(self, seed: Voxel) -> list[Voxel]:
        """Where no segment may be."""
        return around(seed, self.options.min_boundary_dist)

    def in_segment(self, seed: Voxel) -> bool:
        return self.claimed.get(seed, 0) > 0

    def first_mask(self, seed: Voxel) -> dict[Voxel, float]:
        return {seed: self.init}

    def exclude(self, seed: Voxel, reason: str) -> None:
        if self.claimed.get(seed, 0) == 0:
            self.claimed[seed] = -1

    # Where the field of view goes.

    def cell(self, position: Voxel, seed: Voxel) -> Any:
        """Of a lattice of `deltas`, centred on the seed: each is visited once."""
        return tuple(
            math.floor((p - s + d // 2) / max(d, 1)) for p, s, d in zip(position, seed, self.deltas, strict=True)
        )

    def strong_enough(self, position: Voxel) -> bool:
        return self.mask[position] >= self.move

    def free(self, position: Voxel) -> bool:
        return self.claimed.get(position, 0) <= 0

    def seed_too_weak(self, seed: Voxel) -> bool:
        return self.mask[seed] < self.move

    def sides(self, delta: int) -> tuple[int, ...]:
        """The faces of the box around the centre on one axis."""
        return (-delta, delta) if delta else ()

    def suggests(self, top: float) -> bool:
        return top >= logit(self.options.move_threshold)

    def of_equal(self, voxels: list[Voxel]) -> Voxel:
        """Of the strongest voxels of a face."""
        return voxels[0]

    def order(self, found: set[Found]) -> list[Found]:
        return sorted(found, reverse=True)

    def queued(self, queue: list[Voxel], found: list[Voxel]) -> list[Voxel]:
        return queue + found

    # What the network is given, and what becomes of its answer.

    def before(self, voxel: Voxel) -> float:
        return self.mask.get(voxel, self.pad)

    def share(self, logits: dict[Voxel, float]) -> float:
        """The part of the field of view that is in the object."""
        return sum(value >= self.move for value in logits.values()) / len(logits)

    def holds_down(self, share: float) -> bool:
        threshold = float(np.float32(self.options.disco_seed_threshold))
        return threshold >= 0 and share > threshold

    def held(self, old: float, new: float) -> bool:
        return old < 0 and new > old

    # What becomes of the mask.

    def seed_lost(self, seed: Voxel) -> bool:
        return self.mask[seed] < self.move

    def body(self, fovs: list[Voxel]) -> list[Voxel]:
        return [voxel for voxel, value in self.mask.items() if value >= self.segment]

    def own(self, body: list[Voxel]) -> list[Voxel]:
        return [voxel for voxel in body if self.claimed.get(voxel, 0) <= 0]

    def others(self, body: list[Voxel]) -> list[int]:
        """Ids of the earlier objects that it reaches into, one for each voxel."""
        return [self.claimed[voxel] for voxel in body if self.claimed.get(voxel, 0) > 0]

    def too_small(self, voxels: int) -> bool:
        return voxels < self.options.min_segment_size

    def __call__(self, seeds: list[Voxel]) -> Result:
        for seed in seeds:
            self.result.attempts.append(self.attempt(seed) if self.may_start(seed) else None)
        return self.result

    def may_start(self, seed: Voxel) -> bool:
        if not self.fits(seed) or self.in_segment(seed):
            self.happened.add("seed in a segment" if self.fits(seed) else "seed without room")
            return False
        if any(self.claimed.get(voxel, 0) > 0 for voxel in self.near(seed)):
            self.happened.add("seed too close to a segment")
            self.exclude(seed, "seed too close")
            return False
        return True

    def attempt(self, seed: Voxel) -> tuple[Any, ...]:
        self.mask = self.first_mask(seed)
        fovs: list[Voxel] = []
        self.result.visited.append(fovs)
        self.flood(seed, fovs)
        if self.seed_lost(seed):
            return self.give_up(seed, "weak seed", 0, fovs, ())
        body = self.body(fovs)
        own, others = self.own(body), self.others(body)
        overlaps = tuple((id, others.count(id)) for id in sorted(set(others)))
        if overlaps:
            self.happened.add("overlap")
        if self.too_small(len(own)):
            return self.give_up(seed, "too small", len(own), fovs, overlaps)
        id, self.next_id = self.next_id, self.next_id + 1
        for voxel in own:
            self.claimed[voxel] = id
            probability = 1 / (1 + np.exp(-np.float32(self.mask[voxel])))
            self.result.probability[voxel] = int(np.searchsorted(STEPS, probability, side="right"))
        self.happened.add("created")
        return seed, id, len(own), len(fovs), overlaps

    def give_up(self, seed: Voxel, why: str, voxels: int, fovs: list[Voxel], overlaps: Any) -> tuple[Any, ...]:
        self.happened.add(why)
        self.exclude(seed, why)
        return seed, 0, voxels, len(fovs), overlaps

    def flood(self, seed: Voxel, fovs: list[Voxel]) -> None:
        queue, done = [seed], set()
        while queue:
            position = queue.pop(0)
            cell = self.cell(position, seed)
            if cell in done:
                self.happened.add("cell visited before")
            elif not self.strong_enough(position):
                self.happened.add("fell below the threshold while it waited")
            elif not self.fits(position):
                self.happened.add("no room")
            elif not self.free(position):
                self.happened.add("move into a segment")
            elif self.seed_too_weak(seed):
                self.happened.add("seed got too weak with moves left")
                return
            else:
                fovs.append(position)
                done.add(cell)
                self.mask.update(logits := self.look(position))
                queue = self.queued(queue, self.moves(position, logits))

    def look(self, position: Voxel) -> dict[Voxel, float]:
        """The new mask in the field of view."""
        view = around(position, self.half)
        given = np.zeros((1, *self.fov, 2), np.float32)
        given[0, ..., 0] = np.reshape([self.image[voxel] for voxel in view], self.fov)
        given[0, ..., 1] = np.reshape([self.before(voxel) for voxel in view], self.fov)
        logits = dict(zip(view, self.network(given)[0, ..., 0].ravel().tolist(), strict=True))
        if self.holds_down(self.share(logits)):
            for voxel, new in logits.items():
                if voxel in self.mask and self.held(self.mask[voxel], new):
                    self.happened.add("held down")
                    logits[voxel] = self.mask[voxel]
        return logits

    def moves(self, position: Voxel, logits: dict[Voxel, float]) -> list[Voxel]:
        found: set[Found] = set()
        for axis in range(3):
            for side in self.sides(self.deltas[axis]):
                face = [
                    voxel
                    for voxel, offset in zip(around(position, self.deltas), box(self.deltas), strict=True)
                    if offset[axis] == side
                ]
                top = max(logits[voxel] for voxel in face)
                if self.suggests(top):
                    found.add((top, self.of_equal([voxel for voxel in face if logits[voxel] == top])))
        ordered = self.order(found)
        if len({score for score, _ in ordered}) < len(ordered):
            self.happened.add("faces tie")
        return [voxel for _, voxel in ordered]


STEPS = np.linspace(0, 1, 255)
