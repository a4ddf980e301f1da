"""Batches of training examples: crops of pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segmentation.unet import augmentation

_NEAR_A_CELL = 0.5  # share of the crops
_AWAY = 1 / 3  # of a crop's side: how far its middle is from that of the cell, at most, along each axis


class Examples:
    """Random crops of random pictures; where a picture is smaller than a crop, it is continued by reflection.

    Half of them are near a cell, any cell of the picture, if it has one: in wide background most would have none.

    Args:
      images: (y, x, channels) float32 each, normalised.
      targets: (y, x, k) float32 each, of the same y and x.
      centres: (cells, 2) each, y and x of the middles of its cells.
      size: side of a crop, pixels.
      augment: change shape and grey values at random.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        centres: Sequence[np.ndarray],
        size: int,
        batch_size: int,
        generator: np.random.Generator,
        augment: bool = True,
    ) -> None:
        self._pictures = list(zip(images, targets, centres, strict=True))
        self._size, self._batch_size = size, batch_size
        self._generator, self._augment = generator, augment

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """(batch, size, size, channels) and (batch, size, size, k) float32."""
        crops = [self._crop() for _ in range(self._batch_size)]
        return np.stack([image for image, _ in crops]), np.stack([target for _, target in crops])

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on exactly from here."""
        return dict(self._generator.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        self._generator.bit_generator.state = state

    def _crop(self) -> tuple[np.ndarray, np.ndarray]:
        image, target, centres = self._pictures[self._generator.integers(len(self._pictures))]
        # One grid for both: what happens to the image's shape happens to its target's.
        middle = self._middle(image.shape[:2], centres)
        place = augmentation.grid(self._size, middle, self._generator if self._augment else None)
        seen = augmentation.sample(image, place)
        if self._augment:
            seen = augmentation.intensity(seen, self._generator)
        return seen, augmentation.sample(target, place)

    def _middle(self, shape: tuple[int, ...], centres: np.ndarray) -> tuple[float, float]:
        """y and x of a random middle of a crop, inside the picture as far as it fits; on whole pixels."""
        spare = np.array(shape) - self._size
        room = np.maximum(spare, 0)
        if len(centres) and self._generator.random() < _NEAR_A_CELL:
            near = self._generator.choice(centres) + self._size * self._generator.uniform(-_AWAY, _AWAY, 2)
            start = np.clip(np.rint(near - (self._size - 1) / 2), 0, room)
        else:
            start = self._generator.integers(room + 1)
        y, x = start + np.minimum(spare, 0) // 2 + (self._size - 1) / 2
        return float(y), float(x)
