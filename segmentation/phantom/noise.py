"""Smooth random fields that can be evaluated at any position.

Lengths are nm and coordinates z, y, x.
"""

from __future__ import annotations

import numpy as np

_REACH = 3.0  # standard deviations; beyond this distance the kernel is taken as 0


class SmoothNoise:
    """A random field with mean 0 and variance 1 everywhere: white noise on a lattice, smoothed by a Gaussian kernel.

    The kernel is separable, so a section needs only a few small matrix products, wherever the section lies.
    """

    def __init__(self, extent: np.ndarray, length: float, rng: np.random.Generator) -> None:
        """Draws the white noise.

        Args:
          extent: (3,) size of the block, z, y, x.
          length: standard deviation of the kernel; blobs are about 2.5 times as wide.
          rng: source of the random numbers.
        """
        self._length = length
        self._knots = [np.arange(-_REACH * length, size + (_REACH + 1) * length, length) for size in extent]
        self._white = rng.normal(size=[len(knots) for knots in self._knots]).astype(np.float32)

    def section(self, z: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Evaluates the field in the plane z at rows y and columns x; returns (len(y), len(x)) float32."""
        plane = np.einsum("z,zyx->yx", self._weights(0, np.array([z]))[0], self._white)
        # einsum, not @: for matrices this small BLAS threads are slower, and their number changes the last bits
        columns = np.einsum("yx,vx->yv", plane, self._weights(2, x))
        return np.einsum("uy,yv->uv", self._weights(1, y), columns)

    def _weights(self, axis: int, at: np.ndarray) -> np.ndarray:
        kernel = np.exp(-0.5 * ((at[:, None] - self._knots[axis]) / self._length) ** 2)
        return (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)
