"""Partitions of 70 sections: our method and google/ffn's, the latter in plain NumPy, on the same labels."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _measure import labels, measure, publish

from floodrunner.segmentation.ffn.partitions import partition

THRESHOLDS = (0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RADIUS = (24, 24, 24)
MIN_SIZE = 10000


def ours(volume: np.ndarray) -> np.ndarray:
    return partition(volume, RADIUS, THRESHOLDS, MIN_SIZE)


def google_ffn(volume: np.ndarray) -> np.ndarray:
    """The method of compute_partitions.py: for each object, a summed volume table of the whole volume."""
    ids, sizes = np.unique(volume, return_counts=True)
    diameter = [2 * r + 1 for r in RADIUS]
    inner = tuple(slice(r, n - r) for r, n in zip(RADIUS, volume.shape, strict=True))
    classes = np.zeros(volume[inner].shape, np.uint8)
    for label in ids[(sizes >= MIN_SIZE) & (ids != 0)]:
        mask = volume == label
        table = np.pad(mask.astype(np.int32).cumsum(0).cumsum(1).cumsum(2), [(1, 0)] * 3)
        for axis, d in enumerate(diameter):
            high, low = [slice(None)] * 3, [slice(None)] * 3
            high[axis], low[axis] = slice(d, None), slice(None, -d)
            table = table[tuple(high)] - table[tuple(low)]
        fraction = table / np.prod(diameter)
        inside = mask[inner]
        for i, threshold in enumerate(THRESHOLDS):
            classes[inside & (fraction < threshold) & (classes == 0)] = i + 1
        classes[inside & (fraction >= THRESHOLDS[-1]) & (classes == 0)] = len(THRESHOLDS) + 1
    result = np.full(volume.shape, 255, np.uint8)
    result[inner] = classes
    return result


def main() -> None:
    volume, data = labels()
    runs = {"floodrunner": measure(ours, volume), "google/ffn's method, numpy": measure(google_ffn, volume)}
    first, second = runs.values()
    differing = int(np.count_nonzero(first["result"] != second["result"]))
    rows = [
        {
            "partitions": name,
            "seconds": run["seconds"],
            "CPU seconds": run["cpu_seconds"],
            "peak MB": run["peak_mb"],
            "times as long": run["seconds"] / first["seconds"],
            "voxels that differ": differing,
        }
        for name, run in runs.items()
    ]
    publish("partitions", data, rows)


if __name__ == "__main__":
    main()
