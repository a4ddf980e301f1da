"""Predicts whole pictures of any size by overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]
"""Forward pass of a network: (1, y, x, channels) -> (1, y, x, k), both float32."""

_RAMP = 16  # pixels over which the weights change from one tile to the next


class Tiles(NamedTuple):
    """How a picture is cut into tiles; all numbers are pixels.

    Attributes:
      multiple: the sides of the network's input must be multiples of this number. Tiles also start at multiples of it,
        so that the network's grid is the same in each tile.
      shortest, longest: shortest and longest side of a tile; both are multiples of `multiple`.
      margin: width of the edge of a tile that is not used. If predictions for a tile differ from those for the whole
        picture only within this margin, the result is, up to rounding, that for the whole picture.
    """

    multiple: int
    shortest: int
    longest: int
    margin: int


def predict(forward: Forward, image: np.ndarray, tiles: Tiles) -> np.ndarray:
    """Runs a network over a picture.

    The picture is continued by reflection to the next multiple, or to the shortest tile. If it is longer than the
    longest tile, it is cut into overlapping tiles, as few as possible. The weight of a tile is 0 in its margin, then
    rises along a sin² over 16 pixels; the weights of all tiles sum to 1.

    Args:
      image: (y, x, channels) float32.

    Returns:
      (y, x, k) float32.

    Raises:
      ValueError: if sides of tiles are not multiples of `multiple`, or the longest tile is not longer than the overlap.
    """
    least = overlap(tiles.multiple, tiles.margin)
    if tiles.shortest % tiles.multiple or tiles.longest % tiles.multiple or tiles.longest <= least:
        raise ValueError(f"{tiles}: sides must be multiples of `multiple`, and the longest more than {least}")
    lengths = [_whole(max(length, tiles.shortest), tiles.multiple) for length in image.shape[:2]]
    beyond = [(0, whole - length) for whole, length in zip(lengths, image.shape[:2], strict=True)]
    padded = np.pad(image, (*beyond, (0, 0)), mode="reflect" if min(image.shape[:2]) > 1 else "edge")[None]
    rows, columns = (_cut(length, tiles) for length in lengths)
    result: np.ndarray | None = None
    for (y, by_y), (x, by_x) in product(rows, columns):
        box = np.s_[y : y + len(by_y), x : x + len(by_x)]
        found = forward(padded[:, *box])[0]
        if result is None:
            result = np.zeros((*lengths, found.shape[2]), np.float32)
        result[box] += found * by_y[:, None, None] * by_x[:, None]
    assert result is not None
    return result[: image.shape[0], : image.shape[1]]


def _cut(length: int, tiles: Tiles) -> list[tuple[int, np.ndarray]]:
    """Returns start and weights of each tile along one axis. All tiles are equally long: as few as possible, then as
    short as possible."""
    if length <= tiles.longest:
        return [(0, np.ones(length, np.float32))]
    shared = overlap(tiles.multiple, tiles.margin)
    count = -(-(length - shared) // (tiles.longest - shared))
    size = max(_whole(-(-(length - shared) // count) + shared, tiles.multiple), tiles.shortest)
    last = (length - size) // tiles.multiple
    starts = [last * k // (count - 1) * tiles.multiple for k in range(count)]
    inside = np.arange(size) + 0.5  # distance to the tile's edge
    weights = np.zeros((count, length))
    for k, start in enumerate(starts):
        # At the border of the picture there is no neighbouring tile, so no margin is left out.
        near = np.minimum(inside if k else np.inf, inside[::-1] if k < count - 1 else np.inf)
        weights[k, start : start + size] = np.sin(np.clip((near - tiles.margin) / _RAMP, 0, 1) * np.pi / 2) ** 2
    weights /= weights.sum(axis=0)
    return [(start, weights[k, start : start + size].astype(np.float32)) for k, start in enumerate(starts)]


def overlap(multiple: int, margin: int) -> int:
    """Returns the smallest overlap of neighbouring tiles, in pixels: two margins, the weights' ramp, and rounding."""
    return 2 * margin + _RAMP + multiple - 1


def _whole(length: int, multiple: int) -> int:
    """Rounds `length` up to a multiple of `multiple`."""
    return -(-length // multiple) * multiple
