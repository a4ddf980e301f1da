"""Batches of training examples: crops of pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segmentation.unet import augmentation


class Examples:
    """Random crops of random pictures; where a picture is smaller than a crop, it is continued by reflection.

    Args:
      images: (y, x, channels) float32 each, normalised.
      targets: (y, x, k) float32 each, of the same y and x.
      size: side of a crop, pixels.
      augment: change shape and grey values at random.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
        size: int,
        batch_size: int,
        generator: np.random.Generator,
        augment: bool = True,
    ) -> None:
        self._pictures = list(zip(images, targets, strict=True))
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
        image, target = self._pictures[self._generator.integers(len(self._pictures))]
        y, x = (self._middle(length) for length in image.shape[:2])
        # One grid for both: what happens to the image's shape happens to its target's.
        place = augmentation.grid(self._size, (y, x), self._generator if self._augment else None)
        seen = augmentation.sample(image, place)
        if self._augment:
            seen = augmentation.intensity(seen, self._generator)
        return seen, augmentation.sample(target, place)

    def _middle(self, length: int) -> float:
        """A random middle of a crop along one axis, inside the picture as far as it fits; on whole pixels."""
        room = max(length - self._size, 0)
        start = int(self._generator.integers(room + 1)) + min(length - self._size, 0) // 2
        return start + (self._size - 1) / 2
