"""Arrays to look at."""

from __future__ import annotations

import numpy as np

from floodrunner.contract.stage import InputError


def overlay(image: np.ndarray, labels: np.ndarray, opacity: float = 0.35) -> np.ndarray:
    """Draws labels in colour over a section or a picture: `PIL.Image.fromarray(overlay(image[k], labels[k]))`.

    Args:
      image: (y, x) or (y, x, 3) of any type; greys are stretched, except those of 8 bits.
      labels: (y, x) integers, 0 = none.
      opacity: of the colours, 0 to 1; outlines have twice this opacity.

    Returns:
      (y, x, 3) uint8.

    Raises:
      InputError: if the two do not fit.
    """
    from floodrunner.segmentation import colours
    from floodrunner.segmentation.contrast import displayed

    image, labels = np.asarray(image), np.asarray(labels)
    if labels.ndim != 2 or image.shape[:2] != labels.shape or labels.dtype.kind not in "ui":
        raise InputError(
            f"overlay: the image is {image.shape}, the labels are {labels.dtype} {labels.shape}; give one section of "
            "each, (y, x), and whole numbers as labels"
        )
    grey = image if image.dtype == np.uint8 and image.ndim == 2 else displayed(image)
    return colours.overlay(grey, labels, opacity)
