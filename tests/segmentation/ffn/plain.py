"""Flood-filling inference, restated voxel by voxel: slow, and plain enough to be checked by reading.

Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Inference"; the rules as google/ffn keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

Voxel = tuple[int, int, int]


@dataclass
class Result:
    segmentation: dict[Voxel, int] = field(default_factory=dict)
    """Id of each claimed voxel, -1 for a seed that came to nothing."""
    probability: dict[Voxel, int] = field(default_factory=dict)
    attempts: list[tuple[Any, ...] | None] = field(default_factory=list)
    """For each seed None, or seed, id, voxels, fields of view, what became of it, overlaps."""
    visited: list[list[Voxel]] = field(default_factory=list)
    happened: set[str] = field(default_factory=set)
    """Which of the rules had something to do."""


def logit(p: float) -> float:
    p = float(np.float32(p))
    return math.log(p / (1 - p))


def flood_fill(
    image: np.ndarray,
    network: Callable[[np.ndarray], np.ndarray],
    fov: Voxel,
    deltas: Voxel,
    options: Any,
    seeds: list[Voxel],
) -> Result:
    init, pad, move, segment = (
        float(np.float32(logit(p)))
        for p in (options.init_activation, options.pad_value, options.move_threshold, options.segment_threshold)
    )
    result = Result()
    claimed = result.segmentation
    next_id = 1

    def fits(voxel: Voxel) -> bool:
        return all(p - n // 2 >= 0 and p + n // 2 < size for p, n, size in zip(voxel, fov, image.shape, strict=True))

    def around(voxel: Voxel, reach: Voxel) -> list[Voxel]:
        z, y, x = voxel
        return [(z + dz, y + dy, x + dx) for dz, dy, dx in product(*(range(-r, r + 1) for r in reach))]

    for seed in seeds:
        if not fits(seed) or claimed.get(seed, 0) > 0:
            result.happened.add("seed without room" if not fits(seed) else "seed in a segment")
            result.attempts.append(None)
            continue
        if any(claimed.get(voxel, 0) > 0 for voxel in around(seed, options.min_boundary_dist)):
            result.happened.add("seed too close to a segment")
            claimed[seed] = -1
            result.attempts.append(None)
            continue

        mask = {seed: init}
        queue = [seed]
        done = set()
        fovs: list[Voxel] = []
        result.visited.append(fovs)
        while queue:
            position = queue.pop(0)
            cell = tuple(
                math.floor((p - s + d // 2) / max(d, 1)) for p, s, d in zip(position, seed, deltas, strict=True)
            )
            if cell in done:
                result.happened.add("cell visited before")
                continue
            if mask[position] < move or not fits(position) or claimed.get(position, 0) > 0:
                result.happened.add(
                    "fell below the threshold while it waited"
                    if mask[position] < move
                    else "no room"
                    if not fits(position)
                    else "move into a segment"
                )
                continue
            if mask[seed] < move:
                result.happened.add("seed got too weak with moves left")
                break

            view = around(position, tuple(n // 2 for n in fov))
            given = np.zeros((1, *fov, 2), np.float32)
            given[0, ..., 0] = np.reshape([image[voxel] for voxel in view], fov)
            given[0, ..., 1] = np.reshape([mask.get(voxel, pad) for voxel in view], fov)
            logits = dict(zip(view, network(given)[0, ..., 0].ravel().tolist(), strict=True))
            fovs.append(position)
            done.add(cell)

            active = sum(value >= move for value in logits.values()) / len(logits)
            if options.disco_seed_threshold >= 0 and active > float(np.float32(options.disco_seed_threshold)):
                for voxel in view:
                    if voxel in mask and mask[voxel] < 0 and logits[voxel] > mask[voxel]:
                        result.happened.add("held down")
                        logits[voxel] = mask[voxel]
            mask.update(logits)

            best = set()
            for axis in range(3):
                for side in (-deltas[axis], deltas[axis]) if deltas[axis] else ():
                    face = [
                        tuple(p + o for p, o in zip(position, offset, strict=True))
                        for offset in product(*(range(-d, d + 1) for d in deltas))
                        if offset[axis] == side
                    ]
                    top = max(logits[voxel] for voxel in face)
                    if top >= logit(options.move_threshold):
                        first = next(voxel for voxel in face if logits[voxel] == top)
                        best.add((top, first))
            ordered = sorted(best, reverse=True)
            if len({score for score, _ in ordered}) < len(ordered):
                result.happened.add("faces tie")
            queue += [voxel for _, voxel in ordered]

        def give_up(what: str, voxels: int, overlaps: tuple[tuple[int, int], ...], seed: Voxel = seed) -> None:
            result.happened.add(what)
            if claimed.get(seed, 0) == 0:
                claimed[seed] = -1
            result.attempts.append((seed, 0, voxels, len(result.visited[-1]), what, overlaps))

        if mask[seed] < move:
            give_up("weak seed", 0, ())
            continue
        body = [voxel for voxel, value in mask.items() if value >= segment]
        own = [voxel for voxel in body if claimed.get(voxel, 0) <= 0]
        others = [claimed[voxel] for voxel in body if claimed.get(voxel, 0) > 0]
        overlaps = tuple((id, others.count(id)) for id in sorted(set(others)))
        if overlaps:
            result.happened.add("overlap")
        if len(own) < options.min_segment_size:
            give_up("too small", len(own), overlaps)
            continue
        for voxel in own:
            claimed[voxel] = next_id
            probability = 1 / (1 + np.exp(-np.float32(mask[voxel])))
            result.probability[voxel] = int(np.searchsorted(np.linspace(0, 1, 255), probability, side="right"))
        result.happened.add("created")
        result.attempts.append((seed, next_id, len(own), len(fovs), "created", overlaps))
        next_id += 1
    return result
