"""What defines a flood-filling network besides its weights. This module does not load Keras."""

from __future__ import annotations

from typing import NamedTuple

Triple = tuple[int, int, int]


class NetworkSpec(NamedTuple):
    """What defines a network besides its weights; sizes are z, y, x, in voxels.

    Attributes:
      depth: number of residual modules, each of two convolutions (the first module has no shortcut).
      features: channels of each convolution.
      fov: size of the field of view; odd numbers.
      deltas: distance by which the field of view moves along each axis, less than half its size; 0 for no moves.
    """

    depth: int
    features: int
    fov: Triple
    deltas: Triple
