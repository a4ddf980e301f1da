"""Where to start growing objects."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max

_SIGMA = 49 / 6
"""Of the Gaussian that gives the local threshold of an edge, in voxels."""


def peaks(image: np.ndarray) -> np.ndarray:
    """Positions far from edges: maxima of the distance transform of an adaptively thresholded Sobel gradient.

    Args:
      image: (z, y, x) float32, normalised.

    Returns:
      (n, 3) int64 positions z, y, x, ascending.

    Source: google/ffn's PolicyPeaks. Ties within a plateau are broken by a noise of fixed seed, as there.
    """
    edges = ndimage.generic_gradient_magnitude(image, ndimage.sobel)
    inside = edges <= ndimage.gaussian_filter(edges, _SIGMA, mode="reflect")
    del edges  # several arrays of the image's size follow
    # In double precision with the noise, as there: in single precision the noise would make other ties.
    distance = ndimage.distance_transform_edt(inside).astype(np.float32).astype(np.float64)
    del inside
    noise = np.random.RandomState(42).random_sample(distance.shape)
    noise *= 1e-4
    distance += noise
    del noise
    found = peak_local_max(distance, min_distance=3, threshold_abs=0, threshold_rel=0)
    return found[np.lexsort(found.T[::-1])].astype(np.int64)
