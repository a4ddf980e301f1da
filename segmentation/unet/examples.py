"""Batches of training examples: crops of pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segmentation.unet import augmentation
from segmentation.unet.augmentation import Ranges

_NEAR_A_CELL = 0.5  # share of the crops
_AWAY = 1 / 3  # of a crop's side: largest distance, along each axis, between its middle and that of the cell


class Examples:
    """Random crops of random pictures; a picture that is smaller than a crop is continued by reflection.

    If the picture has cells, half of the crops are near one of them, chosen at random: in pictures with wide background
    most crops would otherwise show no cell.

    Args:
      images: (y, x, channels) float32 each, normalised.
      targets: (y, x, k) float32 each, of the same y and x.
      centres: (cells, 2) each, y and x of the middles of its cells.
      size: side of a crop, pixels.
      ranges: of the random changes in shape and grey values; None for crops as they are.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        centres: Sequence[np.ndarray],
        size: int,
        batch_size: int,
        generator: np.random.Generator,
        ranges: Ranges | None,
    ) -> None:
        self._pictures = list(zip(images, targets, centres, strict=True))
        self._size, self._batch_size = size, batch_size
        self._generator, self._ranges = generator, ranges

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """(batch, size, size, channels) and (batch, size, size, k) float32."""
        crops = [self._crop() for _ in range(self._batch_size)]
        return np.stack([image for image, _ in crops]), np.stack([target for _, target in crops])

    def state(self) -> dict[str, Any]:
        """The values that `restore` needs to continue exactly from here."""
        return dict(self._generator.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        self._generator.bit_generator.state = state

    def _crop(self) -> tuple[np.ndarray, np.ndarray]:
        image, target, centres = self._pictures[self._generator.integers(len(self._pictures))]
        # Image and target are sampled with the same grid, so that they stay aligned.
        middle = self._middle(image.shape[:2], centres)
        place = augmentation.grid(self._size, middle, self._ranges, self._generator)
        seen = augmentation.sample(image, place)
        if self._ranges is not None:
            seen = augmentation.intensity(seen, self._ranges, self._generator)
        return seen, augmentation.sample(target, place)

    def _middle(self, shape: tuple[int, ...], centres: np.ndarray) -> tuple[float, float]:
        """y and x of the middle of a random crop, which lies on whole pixels, and in the picture as far as it fits."""
        spare = np.array(shape) - self._size
        room = np.maximum(spare, 0)
        if len(centres) and self._generator.random() < _NEAR_A_CELL:
            near = self._generator.choice(centres) + self._size * self._generator.uniform(-_AWAY, _AWAY, 2)
            start = np.clip(np.rint(near - (self._size - 1) / 2), 0, room)
        else:
            start = self._generator.integers(room + 1)
        y, x = start + np.minimum(spare, 0) // 2 + (self._size - 1) / 2
        return float(y), float(x)
