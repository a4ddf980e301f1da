"""Finds the positions from which objects are grown."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max

_SIGMA = 49 / 6
"""Standard deviation, in voxels, of the Gaussian that makes the local threshold for edges."""


def peaks(image: np.ndarray) -> np.ndarray:
    """Finds positions far from edges: maxima of the distance transform of a locally thresholded Sobel gradient.

    Args:
      image: (z, y, x) float32, normalised.

    Returns:
      (n, 3) int64 positions z, y, x, in ascending order.

    Source: google/ffn's PolicyPeaks. As in google/ffn, noise with a fixed seed breaks ties within a plateau.
    """
    edges = ndimage.generic_gradient_magnitude(image, ndimage.sobel)
    inside = edges <= ndimage.gaussian_filter(edges, _SIGMA, mode="reflect")
    del edges  # frees memory, because more arrays of the image's size follow
    # Double precision, as in google/ffn: in single precision, different voxels would have the same value.
    distance = ndimage.distance_transform_edt(inside).astype(np.float32).astype(np.float64)
    del inside
    noise = np.random.RandomState(42).random_sample(distance.shape)
    noise *= 1e-4
    distance += noise
    del noise
    found = peak_local_max(distance, min_distance=3, threshold_abs=0, threshold_rel=0)
    return found[np.lexsort(found.T[::-1])].astype(np.int64)
