"""Smooth random fields, evaluated where they are wanted.

Lengths are nm and coordinates z, y, x.
"""

from __future__ import annotations

import numpy as np

_REACH = 3.0  # standard deviations after which the kernel counts as zero


class SmoothNoise:
    """A field of mean 0 and variance 1 everywhere: white noise on a lattice, spread by a Gaussian kernel.

    The kernel is separable, so a section takes a few small products, at any shift of the section.
    """

    def __init__(self, extent: np.ndarray, length: float, rng: np.random.Generator) -> None:
        """Args: extent (3,) of the block; length, the kernel's standard deviation: blobs are about 2.5 lengths wide."""
        self._length = length
        self._knots = [np.arange(-_REACH * length, size + (_REACH + 1) * length, length) for size in extent]
        self._white = rng.normal(size=[len(knots) for knots in self._knots]).astype(np.float32)

    def section(self, z: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(len(y), len(x)) float32: the field in the plane z, at rows y and columns x."""
        plane = np.einsum("z,zyx->yx", self._weights(0, np.array([z]))[0], self._white)
        # einsum, not @: on matrices this small BLAS threads cost more than they save, and their number changes the sum
        columns = np.einsum("yx,vx->yv", plane, self._weights(2, x))
        return np.einsum("uy,yv->uv", self._weights(1, y), columns)

    def _weights(self, axis: int, at: np.ndarray) -> np.ndarray:
        kernel = np.exp(-0.5 * ((at[:, None] - self._knots[axis]) / self._length) ** 2)
        return (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)
