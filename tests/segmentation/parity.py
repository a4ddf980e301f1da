"""What one back end computes; run once for each of the two, as `python parity.py RESULTS.npz`, by test_back_ends.py.

Weights, batches and numbers come from NumPy, so that both begin with the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from floodrunner.segmentation import backend
from floodrunner.segmentation.ffn import network as ffn
from floodrunner.segmentation.unet.architectures import architecture_of
from floodrunner.segmentation.unet.losses import dice_bce
from floodrunner.segmentation.unet.network import NetworkSpec


def seam() -> dict[str, Any]:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    product, on_gpu = backend.compute(keras.ops.matmul, x, x.T)
    described = {"name": backend.name(), "device": backend.device(), "gpus": len(backend.gpus())}
    return described | {"cuda": len(backend.cuda()), "product": product, "on_gpu": on_gpu}


def flood_filling() -> dict[str, Any]:
    network = ffn.NetworkSpec(depth=2, features=4, fov=(3, 7, 7), deltas=(1, 1, 1))
    model, generator = ffn.build(network), np.random.default_rng(5)
    ffn.set_weights(model, {k: generator.normal(0, 0.2, v.shape).astype("f4") for k, v in ffn.weights(model).items()})

    def batch() -> tuple[np.ndarray, np.ndarray]:
        given = generator.normal(size=(2, 3, 7, 7, 2)).astype("f4")
        return given, np.where(given[..., :1] > 0, 0.95, 0.05).astype("f4")

    return trained(model, keras.optimizers.Adam(0.003), ffn.loss, batch, 5)


def cells(network: NetworkSpec, size: int, steps: int) -> dict[str, Any]:
    architecture = architecture_of(network)
    model, generator = architecture.build(network), np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # the two draw different numbers

    def weight(shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 1:
            return generator.normal(1, 0.1, shape)
        return generator.normal(0, np.prod(shape[:-1]) ** -0.5, shape)

    def batch() -> tuple[np.ndarray, np.ndarray]:
        given = generator.normal(size=(2, size, size, 1)).astype("f4")
        return given, np.repeat(given > 0, architecture.OUTPUTS, 3).astype("f4")

    model.set_weights([weight(w.shape) for w in model.get_weights()])
    found = trained(model, keras.optimizers.SGD(0.01), dice_bce, batch, steps)
    moved = [v for v in model.non_trainable_variables if "moving" in v.path]
    return found | {f"moved{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(moved)}


def trained(
    model: keras.Model, optimizer: Any, loss: Any, batch: Callable[[], tuple[np.ndarray, np.ndarray]], steps: int
) -> dict[str, Any]:
    step = backend.training_step(model, optimizer, loss)
    batches = [batch() for _ in range(steps)]
    given = batches[-1][0]
    forward = backend.forward(model)  # compiled once
    before = forward(given)
    losses = [step(*each)[0] for each in batches]
    return {"before": before, "losses": losses, "output": forward(given)}


if __name__ == "__main__":
    parts = {
        "seam": seam(),
        "ffn": flood_filling(),
        "classic": cells(NetworkSpec("classic", 1, 2, 4), 16, steps=2),
        "blog": cells(NetworkSpec("blog", 1, 8, 16, True), 256, steps=1),
    }
    np.savez(
        sys.argv[1], **{f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
    )
