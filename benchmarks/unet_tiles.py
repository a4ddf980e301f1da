"""A U-Net over large pictures: in one piece, and by overlapping tiles of several sizes."""

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


def predict(side: int, tile: int) -> dict[str, Any]:
    """Time of the prediction alone, after one that has compiled the network for these tiles; and the middle of it."""
    import keras

    from segmentation import backend
    from segmentation.unet import network as unet
    from segmentation.unet.network import Network
    from segmentation.unet.prediction import picture

    keras.utils.set_random_seed(1)
    network = Network("classic", 1, 4, 16)
    forward = backend.forward(unet.folded(network, unet.build(network)))
    image = np.random.default_rng(1).random((side, side, 1)).astype(np.float32)
    picture(forward, network, image, tile)
    start, cpu = time.perf_counter(), time.process_time()
    found = picture(forward, network, image, tile)
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "found": found}


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
