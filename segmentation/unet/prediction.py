"""A trained network on a whole picture."""

from __future__ import annotations

import numpy as np
from skimage.transform import resize

from segmentation.unet.network import BLOG_SIZE, Network, margin, multiple
from segmentation.unet.tiling import Forward, Tiles, overlap, predict

_BLOG_MARGIN = 32


def picture(forward: Forward, network: Network, image: np.ndarray, tile: int, turns: bool = False) -> np.ndarray:
    """Predicts a picture of any size.

    Args:
      forward: the network's, compiled.
      image: (y, x, channels) float32, normalised.
      tile: longest side of a tile, pixels, as far as `tiles` can do with it.
      turns: give the mean over the picture's 8 reflections and quarter turns, in 8 times the time.

    Returns:
      (y, x, k) float32, 0 to 1.
    """
    if network.squash:
        small = squash(image)
        return squash(_oriented(forward, small, tiles(network, tile), turns), image.shape[:2])
    return _oriented(forward, image, tiles(network, tile), turns)


def tiles(network: Network, tile: int) -> Tiles:
    """How a network's pictures are cut into tiles whose sides are no longer than `tile` if that is sensible.

    A deep network sees far: at least half of a tile's side counts, so that the network computes some four times the
    pixels of the picture at the most.
    The blog's network sees all of its 256 x 256, so its tiles do not quite agree; 32 pixels is where that shows most.
    """
    if network.architecture == "blog":
        return Tiles(1, BLOG_SIZE, BLOG_SIZE, _BLOG_MARGIN)
    unit, edge = multiple(network), margin(network)
    least = -(-2 * overlap(unit, edge) // unit)
    return Tiles(unit, unit, max(tile // unit, least) * unit, edge)


def squash(image: np.ndarray, shape: tuple[int, ...] = (BLOG_SIZE, BLOG_SIZE)) -> np.ndarray:
    """Resizes (y, x, c) float32 to another y, x, linearly, smoothed before it shrinks; proportions are not kept."""
    if image.shape[:2] == shape:
        return image
    return resize(image, shape, order=1, mode="reflect", anti_aliasing=True).astype(np.float32)


def _oriented(forward: Forward, image: np.ndarray, cut: Tiles, turns: bool) -> np.ndarray:
    if not turns:
        return predict(forward, image, cut)
    total = np.zeros((), np.float32)
    for flip in (False, True):
        seen = image[:, ::-1] if flip else image
        for k in range(4):
            found = np.rot90(predict(forward, np.rot90(seen, k), cut), -k)
            total = total + (found[:, ::-1] if flip else found)
    return total / 8
