"""A U-Net on a large picture: predicted in one piece, and in overlapping tiles of several sizes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _measure import measure, publish

SIDES = (3000,)
TILES = (512, 1024, 2048)
TIMES = 5


def predict(side: int, tile: int) -> dict[str, Any]:
    """Median times of predictions, after a first one that compiles the network for these tiles; and the prediction."""
    import keras

    from floodrunner.segmentation import backend
    from floodrunner.segmentation.unet.architectures import architecture_of
    from floodrunner.segmentation.unet.network import NetworkSpec
    from floodrunner.segmentation.unet.prediction import picture

    keras.utils.set_random_seed(1)
    network = NetworkSpec("classic", 1, 4, 16)
    architecture = architecture_of(network)
    forward = backend.forward(architecture.folded(network, architecture.build(network)))
    image = np.random.default_rng(1).random((side, side, 1)).astype(np.float32)
    found = picture(forward, network, image, tile)
    taken = []
    for _ in range(TIMES):
        start, cpu = time.perf_counter(), time.process_time()
        picture(forward, network, image, tile)
        taken.append((time.perf_counter() - start, time.process_time() - cpu))
    seconds, cpu = np.median(taken, axis=0)
    return {"seconds": seconds, "cpu": cpu, "found": found}


def main() -> None:
    rows = []
    for side in SIDES:
        whole = None
        for tile in (2 * side, *TILES):
            run = measure(predict, side, tile)
            timed = run["result"]
            whole = timed if whole is None else whole
            rows.append(
                {
                    "prediction": f"{side} x {side}, " + ("one piece" if tile > side else f"tiles of {tile}"),
                    "seconds": timed["seconds"],
                    "CPU seconds": timed["cpu"],
                    "CPU seconds a megapixel": timed["cpu"] / side**2 * 1e6,
                    "peak MB": run["peak_mb"],
                    "largest difference": f"{np.abs(timed['found'] - whole['found']).max():.1e}",
                }
            )
    publish("unet_tiles", "noise", rows, shape=None)


if __name__ == "__main__":
    main()
