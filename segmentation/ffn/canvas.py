"""Flood-filling inference: grows objects one after another in an image.

The canvas holds the image, the segmentation so far, and the mask of the object that is growing now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from floodrunner.segmentation.ffn.logits import logit, quantise_probability
from floodrunner.segmentation.ffn.movement import Moves, Position, face_maxima
from floodrunner.segmentation.ffn.spec import Triple

Forward = Callable[[np.ndarray], np.ndarray]
"""The network: (batch, z, y, x, 2) float32, image and mask logits -> (batch, z, y, x, 1) float32, new mask logits.

The function must not keep its argument, because the next call overwrites it. The canvas does not change the result.
"""

EXCLUDED = -1
"""Value in `Canvas.segmentation` at a seed from which no object was made."""


@dataclass(frozen=True)
class Options:
    """Options like google/ffn's InferenceOptions, used in single precision. Activations and thresholds are
    probabilities.

    Attributes:
      init_activation: initial mask value of the seed voxel.
      pad_value: mask value of all other voxels until a field of view covers them.
      move_threshold: the field of view moves to voxels at or above this value. An object stops growing when its seed
        falls below this value.
      segment_threshold: voxels at or above this value belong to the object.
      min_boundary_dist: z, y, x; seeds within this distance of a segment are skipped.
      min_segment_size: smallest object, in voxels that no earlier object has claimed.
      disco_seed_threshold: if more than this share of a field of view reaches the move threshold, voxels whose mask
        was below 0.5 cannot rise. A negative value switches this off.
    """

    init_activation: float = 0.95
    pad_value: float = 0.05
    move_threshold: float = 0.9
    segment_threshold: float = 0.6
    min_boundary_dist: Triple = (1, 1, 1)
    min_segment_size: int = 1000
    disco_seed_threshold: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """The outcome of one seed.

    Attributes:
      seed: position of the seed, z, y, x.
      id: id of the new object, 0 if there is none.
      voxels: size of the object within the canvas's box, without the voxels of earlier objects.
      fovs: number of fields of view that were computed.
    """

    seed: Position
    id: int
    voxels: int
    fovs: int
    overlapped: tuple[tuple[int, int], ...] = ()
    """(id, voxels) for each earlier object that the mask overlaps; the earlier object keeps these voxels."""


@dataclass
class _Object:
    """The object that is growing: its seed, its queue of moves, and the number of fields of view so far."""

    seed: Position
    moves: Moves
    fovs: int = 0


class Canvas:
    """Grows objects one at a time in an image.

    Args:
      image: (z, y, x) float32, normalised.
      forward: the network.
      fov, deltas: size and moves of the network's field of view, z, y, x.
      box: the part of the image whose voxels count for the size of an object; by default the whole image. The rest of
        the image is only context.

    Attributes:
      segmentation: (z, y, x) int32: ids from 1; 0 for voxels that no object has claimed; EXCLUDED.
      probability: (z, y, x) uint8, the result of `quantise_probability` for each claimed voxel.
      mask: (z, y, x) float32, logits of the growing object, or else of the last object; NaN at voxels that no field of
        view has covered.
    """

    def __init__(
        self,
        image: np.ndarray,
        forward: Forward,
        fov: Triple,
        deltas: Triple,
        options: Options,
        box: tuple[slice, ...] | None = None,
    ) -> None:
        self.image = image
        self.segmentation = np.zeros(image.shape, np.int32)
        self.probability = np.zeros(image.shape, np.uint8)
        self.mask = np.full(image.shape, np.nan, np.float32)
        self.max_id = 0
        self._forward = forward
        self._half: Triple = tuple(size // 2 for size in fov)  # type: ignore[assignment]  # three of them
        self._deltas = deltas
        self._options = options
        self._box = [slice(*s.indices(n)) for s, n in zip(box or (slice(None),) * 3, image.shape, strict=True)]
        self._object: _Object | None = None
        self._touched: tuple[slice, ...] = (slice(0, 0),) * 3  # bounding box of the voxels where `mask` is not NaN
        self._input = np.empty((1, *fov, 2), np.float32)
        init, pad, move, segment = (
            logit(float(np.float32(p)))
            for p in (options.init_activation, options.pad_value, options.move_threshold, options.segment_threshold)
        )
        self._init, self._pad, self._move, self._segment = map(np.float32, (init, pad, move, segment))
        # These logits are rounded to float32, as in google/ffn. The threshold for moves is not rounded, because the
        # movement policy of google/ffn computes this logit separately, in double precision.
        self._face_threshold = float(move)

    def segment(self, seeds: np.ndarray) -> Iterator[Attempt | None]:
        """Tries the seeds, (n, 3) z, y, x, in order; yields the outcome of each, or None for a seed that was skipped.

        If a state was restored that had been saved while an object grew, the first seed must be that object's seed.
        """
        for row in seeds:
            z, y, x = (int(p) for p in row)
            yield self._try((z, y, x))

    def settled(self, seeds: np.ndarray) -> int:
        """Counts the seeds, (n, 3) z, y, x, that lie in a finished or growing object, and so will be skipped."""
        at = tuple(seeds.T)
        taken = self.segmentation[at] > 0
        if self._object is not None:
            with np.errstate(invalid="ignore"):
                taken |= self.mask[at] >= self._segment
        return int(np.count_nonzero(taken))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Returns arrays and JSON values for `restore`. May be called by the function `forward` while it runs."""
        arrays: dict[str, np.ndarray] = {"segmentation": self.segmentation, "probability": self.probability}
        values: dict[str, Any] = {"max_id": self.max_id, "object": None}
        if self._object is not None:
            arrays |= {"mask": self.mask[self._touched], **self._object.moves.state()}
            touched = [(s.start, s.stop) for s in self._touched]
            values["object"] = {"seed": self._object.seed, "touched": touched, "fovs": self._object.fovs}
        return arrays, values

    def restore(self, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
        """Restores a saved state exactly. The canvas must be new, and made with the same arguments."""
        self.segmentation[...] = arrays["segmentation"]
        self.probability[...] = arrays["probability"]
        self.max_id = values["max_id"]
        if (work := values["object"]) is not None:
            z, y, x = work["seed"]
            moves = Moves((z, y, x), self._deltas)
            moves.restore(arrays)
            self._touched = tuple(slice(a, b) for a, b in work["touched"])
            self.mask[self._touched] = arrays["mask"]
            self._object = _Object((z, y, x), moves, work["fovs"])

    def _try(self, seed: Position) -> Attempt | None:
        if self._object is None:
            if not self._may_start(seed):
                return None
            self._begin(seed)
        work = self._object
        assert work is not None
        assert work.seed == seed
        self._flood(work)
        self._object = None
        return self._conclude(work)

    def _may_start(self, seed: Position) -> bool:
        if not self._fits(seed) or self.segmentation[seed] > 0:
            return False
        near = tuple(
            slice(max(p - d, 0), p + d + 1) for p, d in zip(seed, self._options.min_boundary_dist, strict=True)
        )
        if (self.segmentation[near] > 0).any():
            self.segmentation[seed] = EXCLUDED
            return False
        return True

    def _begin(self, seed: Position) -> None:
        self.mask[self._touched] = np.nan
        self.mask[seed] = self._init
        self._touched = tuple(slice(p, p + 1) for p in seed)
        self._object = _Object(seed, Moves(seed, self._deltas))

    def _flood(self, work: _Object) -> None:
        """Grows the mask until no move is left or the seed falls below the move threshold."""
        while (position := work.moves.next(self._may_visit)) is not None:
            logits = self._update(work, position)
            maxima = face_maxima(logits, self._deltas, self._face_threshold)
            work.moves.visited(_moved(position, offset) for _, offset in maxima)
            if self.mask[work.seed] < self._move:
                break

    def _update(self, work: _Object, position: Position) -> np.ndarray:
        """Runs the network on the field of view at `position`; writes the logits into the mask and returns them."""
        box = tuple(slice(p - h, p + h + 1) for p, h in zip(position, self._half, strict=True))
        old = self.mask[box]
        fresh = np.isnan(old)
        self._input[0, ..., 0] = self.image[box]
        self._input[0, ..., 1] = np.where(fresh, self._pad, old)
        logits = self._forward(self._input)[0, ..., 0]
        threshold = float(np.float32(self._options.disco_seed_threshold))
        if threshold >= 0 and np.mean(logits >= self._move) > threshold:
            with np.errstate(invalid="ignore"):
                held = (old < 0) & (logits > old)
            logits = np.where(held, old, logits)
        self.mask[box] = logits
        work.fovs += 1
        self._touched = tuple(
            slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(self._touched, box, strict=True)
        )
        return logits

    def _conclude(self, work: _Object) -> Attempt:
        """Turns the mask into a segment, if its seed is strong enough and the mask is large enough."""
        seed, box = work.seed, self._touched
        if self.mask[seed] < self._move:
            self.segmentation[seed] = EXCLUDED
            return Attempt(seed, 0, 0, work.fovs)

        with np.errstate(invalid="ignore"):  # NaN means that no field of view covered the voxel
            mask = self.mask[box] >= self._segment
        claimed = self.segmentation[box]
        ids, counts = np.unique(claimed[mask & (claimed > 0)], return_counts=True)
        overlapped = tuple(zip(ids.tolist(), counts.tolist(), strict=True))
        mask &= claimed <= 0
        voxels = int(mask[self._counts(box)].sum())
        if voxels < self._options.min_segment_size:
            self.segmentation[seed] = EXCLUDED
            return Attempt(seed, 0, voxels, work.fovs, overlapped)

        self.max_id += 1
        claimed[mask] = self.max_id
        self.probability[box][mask] = quantise_probability(expit(self.mask[box][mask]))
        return Attempt(seed, self.max_id, voxels, work.fovs, overlapped)

    def _counts(self, box: tuple[slice, ...]) -> tuple[slice, ...]:
        """Returns the part of `box` that lies inside the box to segment, in coordinates relative to `box`."""
        return tuple(
            slice(max(c.start - b.start, 0), max(c.stop - b.start, 0)) for b, c in zip(box, self._box, strict=True)
        )

    def _may_visit(self, position: Position) -> bool:
        return self._fits(position) and bool(self.mask[position] >= self._move and self.segmentation[position] <= 0)

    def _fits(self, position: Position) -> bool:
        return all(h <= p < n - h for p, h, n in zip(position, self._half, self.image.shape, strict=True))


def _moved(position: Position, offset: Position) -> Position:
    z, y, x = (p + o for p, o in zip(position, offset, strict=True))
    return z, y, x
