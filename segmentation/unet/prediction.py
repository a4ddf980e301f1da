"""Applies a trained network to a whole picture."""

from __future__ import annotations

import numpy as np
from skimage.transform import resize

from floodrunner.segmentation.unet.architectures import architecture_of
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.segmentation.unet.tiling import Forward, Tiles, predict


def picture(
    forward: Forward, network: NetworkSpec, image: np.ndarray, tile: int, test_time_augmentation: bool = False
) -> np.ndarray:
    """Predicts a picture of any size.

    Args:
      forward: the network's compiled forward pass.
      image: (y, x, channels) float32, normalised.
      tile: longest side of a tile, pixels; tiles are longer if the architecture's function `tiles` says so.
      test_time_augmentation: whether to return the mean over the picture's 8 reflections and quarter turns, which takes
        8 times as long.

    Returns:
      (y, x, k) float32, 0 to 1.
    """
    architecture = architecture_of(network)
    given = image
    if network.squash:
        assert architecture.INPUT_SIZE  # `Architecture.check` allows squash only with an INPUT_SIZE
        given = resized(image, (architecture.INPUT_SIZE, architecture.INPUT_SIZE))
    tiles = architecture.tiles(network, tile)
    found = _mean_of_orientations(forward, given, tiles) if test_time_augmentation else predict(forward, given, tiles)
    return resized(found, image.shape[:2])


def resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resizes an image (y, x, c), float32, to another y, x by linear interpolation. An image that shrinks is smoothed
    first. Proportions may change."""
    if image.shape[:2] == shape:
        return image
    return resize(image, shape, order=1, mode="reflect", anti_aliasing=True).astype(np.float32)


def _mean_of_orientations(forward: Forward, image: np.ndarray, tiles: Tiles) -> np.ndarray:
    total = np.zeros((), np.float32)
    for flip in (False, True):
        seen = image[:, ::-1] if flip else image
        for k in range(4):
            found = np.rot90(predict(forward, np.rot90(seen, k), tiles), -k)
            total = total + (found[:, ::-1] if flip else found)
    return total / 8
