"""Makes training examples for a flood-filling network, and moves the field of view in each.

An example is a patch of the volume around a training position. The field of view is first at the centre of the patch.
Then it visits, in random order, the 26 positions that are one delta away, except those where the mask predicted so far
is below the move threshold. Each field of view is one sample of gradient descent, and its prediction updates the mask.

Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Network training"; google/ffn's train.py with its
fixed movement policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from floodrunner.segmentation.ffn.logits import logit
from floodrunner.segmentation.ffn.spec import Triple

SEED, PAD, MOVE_THRESHOLD = 0.95, 0.05, 0.9
"""Initial activation of the seed voxel and of all other voxels; lowest activation to which a field of view moves."""

INSIDE, OUTSIDE = 0.95, 0.05
"""Soft labels: of voxels of the object at the centre, and of all other voxels."""

SampleCentres = Callable[[np.random.Generator, int], np.ndarray]
"""(generator, n) -> n random positions, (n, 3), z, y, x."""


def patch_shape(fov: Triple, deltas: Triple) -> Triple:
    """Returns the size of an example, z, y, x: the field of view and one move to either side."""
    z, y, x = (size + 2 * delta for size, delta in zip(fov, deltas, strict=True))
    return z, y, x


@dataclass
class Example:
    """A patch that is being trained on.

    Attributes:
      centre: position of the centre of the patch in the volume, z, y, x.
      flips: whether the patch is reflected along z, y, x.
      swap: whether y and x are exchanged after the reflections.
      mask: float32 logits, of the shape of the patch.
      waiting: offsets of the field of view that have not been tried yet, z, y, x, in the order in which they are tried.
      offset: current offset of the field of view from the centre, z, y, x.
    """

    centre: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    swap: bool
    mask: np.ndarray
    waiting: list[Triple]
    offset: Triple


class Examples:
    """A batch of examples, each with its own patch and offset. A finished example is replaced by a new one.

    Args:
      image: (z, y, x) of any real type; `batch` normalises it to (image - mean) / stddev.
      labels: (z, y, x) integers, 0 = none.
      sample_centres: draws centres of examples; half a patch around each must lie inside the volume.
      augment: whether to reflect patches along z, y, x and swap x with y, at random.
    """

    def __init__(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        mean: float,
        stddev: float,
        sample_centres: SampleCentres,
        fov: Triple,
        deltas: Triple,
        batch_size: int,
        generator: np.random.Generator,
        augment: bool = True,
    ) -> None:
        self._image, self._labels = image, labels
        self._mean, self._stddev = np.float32(mean), np.float32(stddev)
        self._sample_centres = sample_centres
        self._fov, self._deltas = fov, deltas
        self._patch = patch_shape(fov, deltas)
        self._generator = generator
        self._augment = augment
        self._swaps = fov[1:] == (fov[2], fov[1]) and deltas[1] == deltas[2]
        dz, dy, dx = ((-d, 0, d) if d else (0,) for d in deltas)
        self._offsets: list[Triple] = [offset for offset in product(dz, dy, dx) if any(offset)]
        self._move = np.float32(logit(MOVE_THRESHOLD))
        self._examples = [self._new() for _ in range(batch_size)]

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the current field of view of each example.

        Returns:
          (batch, z, y, x, 2) float32, image and mask logits; (batch, z, y, x, 1) float32, soft labels.
        """
        given = np.empty((len(self._examples), *self._fov, 2), np.float32)
        target = np.empty((len(self._examples), *self._fov, 1), np.float32)
        for i, example in enumerate(self._examples):
            box = self._box(example.offset)
            given[i, ..., 0] = (self._view(self._image, example)[box] - self._mean) / self._stddev
            given[i, ..., 1] = example.mask[box]
            target[i, ..., 0] = OUTSIDE
            if (label := self._labels[example.centre]) != 0:  # if the centre is background, all targets stay OUTSIDE
                target[i, ..., 0][self._view(self._labels, example)[box] == label] = INSIDE
        return given, target

    def update(self, logits: np.ndarray) -> None:
        """Writes the network's output, (batch, z, y, x, 1), into the masks, and moves every field of view."""
        for i, example in enumerate(self._examples):
            example.mask[self._box(example.offset)] = logits[i, ..., 0]
            if not self._move_on(example):
                self._examples[i] = self._new()

    def state(self) -> dict[str, Any]:
        """Returns what `restore` needs to continue exactly from here: an array, `masks`, and values for JSON."""
        return {
            "generator": self._generator.bit_generator.state,
            "examples": [{k: v for k, v in vars(e).items() if k != "mask"} for e in self._examples],
            "masks": np.stack([e.mask for e in self._examples]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._generator.bit_generator.state = state["generator"]
        self._examples = [
            Example(
                centre=tuple(e["centre"]),
                flips=tuple(e["flips"]),
                swap=e["swap"],
                mask=mask.copy(),
                waiting=[tuple(o) for o in e["waiting"]],
                offset=tuple(e["offset"]),
            )
            for e, mask in zip(state["examples"], state["masks"], strict=True)
        ]

    def _new(self) -> Example:
        z, y, x = (int(p) for p in self._sample_centres(self._generator, 1)[0])
        flips, swap = (False, False, False), False
        if self._augment:
            drawn = self._generator.random(4) < 0.5
            flips, swap = (bool(drawn[0]), bool(drawn[1]), bool(drawn[2])), bool(drawn[3]) and self._swaps
        mask = np.full(self._patch, logit(PAD), np.float32)
        mask[tuple(size // 2 for size in self._patch)] = logit(SEED)
        order = self._generator.permutation(len(self._offsets))
        return Example((z, y, x), flips, swap, mask, [self._offsets[i] for i in order], (0, 0, 0))

    def _move_on(self, example: Example) -> bool:
        """Moves the field of view to the next waiting offset that the mask has reached; False if there is none."""
        centre = [size // 2 for size in self._patch]
        while example.waiting:
            offset = example.waiting.pop(0)
            if example.mask[tuple(c + o for c, o in zip(centre, offset, strict=True))] >= self._move:
                example.offset = offset
                return True
        return False

    def _view(self, volume: np.ndarray, example: Example) -> np.ndarray:
        """Returns the example's patch of `volume`, reflected and swapped, as a view."""
        box = tuple(slice(c - n // 2, c + n // 2 + 1) for c, n in zip(example.centre, self._patch, strict=True))
        patch = volume[box][tuple(slice(None, None, -1 if flip else 1) for flip in example.flips)]
        return patch.swapaxes(1, 2) if example.swap else patch

    def _box(self, offset: Triple) -> tuple[slice, ...]:
        """Returns the field of view at an offset, as a box inside the patch."""
        return tuple(slice(d + o, d + o + n) for d, o, n in zip(self._deltas, offset, self._fov, strict=True))
