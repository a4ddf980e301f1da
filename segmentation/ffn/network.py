"""The convolution stack of a flood-filling network.

Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Network architecture": a 3D residual network
with pre-activation and without pooling. Its output is added to the logits of the object mask in its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from floodrunner.segmentation.ffn.spec import NetworkSpec, Triple

__all__ = ["NetworkSpec", "Triple"]


def build(network: NetworkSpec) -> keras.Model:
    """Builds the network, with new random weights.

    The network takes (batch, z, y, x, 2) float32: the normalised image, and the logits of the object mask. It returns
    (batch, z, y, x, 1) float32, the new logits of the mask. It is fully convolutional.
    """
    given = layers.Input((*network.fov, 2))
    x = _convolution(network.features, "conv0_a", activation="relu")(given)
    x = _convolution(network.features, "conv0_b")(x)
    for i in range(1, network.depth):
        shortcut = x
        x = ops.relu(x)
        x = _convolution(network.features, f"conv{i}_a", activation="relu")(x)
        x = _convolution(network.features, f"conv{i}_b")(x)
        x = x + shortcut
    update = layers.Conv3D(1, 1, name="conv_lom")(ops.relu(x))
    return keras.Model(given, given[..., 1:] + update)


def weight_shapes(network: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the weights, by the names that `weights` uses, without building the network."""
    n = network.features
    inputs = {"conv0_a": 2} | {
        f"conv{i}_{part}": n for i in range(network.depth) for part in "ab" if (i, part) != (0, "a")
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, channels in inputs.items():
        shapes |= {f"seed_update/{name}/weights": (3, 3, 3, channels, n), f"seed_update/{name}/biases": (n,)}
    return shapes | {"seed_update/conv_lom/weights": (1, 1, 1, n, 1), "seed_update/conv_lom/biases": (1,)}


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights by google/ffn's names, `seed_update/conv0_a/weights` and so on.

    Weights are (z, y, x, in, out), and biases, such as `seed_update/conv0_a/biases`, are (out,).
    """
    named = {}
    for layer in _convolutions(model):
        kernel, bias = layer.get_weights()
        named[f"seed_update/{layer.name}/weights"] = kernel
        named[f"seed_update/{layer.name}/biases"] = bias
    return named


def check_weights(named: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Compares weights with the names and shapes that a network expects. Raises ValueError like `set_weights`."""
    if odd := sorted(expected.keys() ^ named.keys()):
        raise ValueError(f"weights {', '.join(odd[:3])}: only in the network or only in the file; is the depth wrong?")
    for name, shape in expected.items():
        if named[name].shape != shape:
            raise ValueError(f"weights {name}: shape {named[name].shape}, expected {shape}")


def set_weights(model: keras.Model, named: dict[str, np.ndarray]) -> None:
    """Sets the weights, which have the names that the function `weights` returns.

    Raises:
      ValueError: if an array is missing, unexpected, or of the wrong shape; the message names the array.
    """
    check_weights(named, {name: array.shape for name, array in weights(model).items()})
    for layer in _convolutions(model):
        layer.set_weights([named[f"seed_update/{layer.name}/{part}"] for part in ("weights", "biases")])


def loss(target: Any, logits: Any) -> Any:
    """Computes the mean sigmoid cross-entropy of logits and soft labels, both (batch, z, y, x, 1)."""
    # This is max(x, 0) - x t + log(1 + exp(-|x|)), a form that does not overflow.
    return ops.mean(ops.relu(logits) - logits * target + ops.softplus(-ops.abs(logits)))


def _convolution(features: int, name: str, activation: str | None = None) -> layers.Conv3D:
    return layers.Conv3D(features, 3, padding="same", activation=activation, name=name)


def _convolutions(model: keras.Model) -> list[layers.Conv3D]:
    return [layer for layer in model.layers if isinstance(layer, layers.Conv3D)]
