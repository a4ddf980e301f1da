"""Makes batches of training examples, which are crops of pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from floodrunner.segmentation.unet import augmentation
from floodrunner.segmentation.unet.augmentation import Ranges

_NEAR_A_CELL = 0.5  # share of the crops that are placed near a cell
_AWAY = 1 / 3  # largest distance between the middles of crop and cell along each axis, as a share of the side


class Examples:
    """Random crops of random pictures; a picture that is smaller than a crop is continued by reflection.

    If the picture has cells, half of the crops are placed near a random cell, because in pictures with much background
    most crops would otherwise show no cell.

    Args:
      images: for each picture, (y, x, channels) float32, normalised.
      targets: for each picture, (y, x, k) float32, with the same y and x.
      centres: for each picture, (cells, 2), y and x of the middles of the cells.
      size: side of a crop, pixels.
      ranges: ranges of the random changes of shape and grey values; None for unchanged crops.
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
        """Draws images, (batch, size, size, channels), and targets, (batch, size, size, k), both float32."""
        crops = [self._crop() for _ in range(self._batch_size)]
        return np.stack([image for image, _ in crops]), np.stack([target for _, target in crops])

    def state(self) -> dict[str, Any]:
        """Returns the values that `restore` needs to continue exactly from here."""
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
        """Draws the middle, y and x, of a crop. The crop lies on whole pixels and, if it fits, inside the picture."""
        spare = np.array(shape) - self._size
        room = np.maximum(spare, 0)
        if len(centres) and self._generator.random() < _NEAR_A_CELL:
            near = self._generator.choice(centres) + self._size * self._generator.uniform(-_AWAY, _AWAY, 2)
            start = np.clip(np.rint(near - (self._size - 1) / 2), 0, room)
        else:
            start = self._generator.integers(room + 1)
        y, x = start + np.minimum(spare, 0) // 2 + (self._size - 1) / 2
        return float(y), float(x)
