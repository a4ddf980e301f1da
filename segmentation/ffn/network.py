"""The convolution stack of a flood-filling network.

Source: Januszewski et al., Nature Methods 15 (2018), Methods, "Network architecture": a 3D residual network
with pre-activation and without pooling. Its output is added to the logits of the object mask in its input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

Triple = tuple[int, int, int]


class NetworkSpec(NamedTuple):
    """What defines a network besides its weights; sizes are z, y, x, in voxels.

    Attributes:
      depth: number of residual modules, each of two convolutions (the first module has no shortcut).
      features: channels of each convolution.
      fov: field of view, odd.
      deltas: how far the field of view moves along each axis, less than half of it; 0 where it does not.
    """

    depth: int
    features: int
    fov: Triple
    deltas: Triple


def build(network: NetworkSpec) -> keras.Model:
    """The network with fresh weights.

    It takes (batch, z, y, x, 2) float32: the normalised image, and the logits of the object mask; it returns
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


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights by google/ffn's names: `seed_update/conv0_a/weights` (z, y, x, in, out) and `.../biases` (out,)."""
    named = {}
    for layer in _convolutions(model):
        kernel, bias = layer.get_weights()
        named[f"seed_update/{layer.name}/weights"] = kernel
        named[f"seed_update/{layer.name}/biases"] = bias
    return named


def set_weights(model: keras.Model, named: dict[str, np.ndarray]) -> None:
    """Sets the weights, named as in `weights`.

    Raises:
      ValueError: if an array is missing, unexpected, or of the wrong shape; names it.
    """
    expected = weights(model)
    if odd := sorted(expected.keys() ^ named.keys()):
        raise ValueError(f"weights {', '.join(odd[:3])}: only in the network or only in the file; do depths differ?")
    for name, array in expected.items():
        if array.shape != named[name].shape:
            raise ValueError(f"weights {name}: shape {named[name].shape}, expected {array.shape}")
    for layer in _convolutions(model):
        layer.set_weights([named[f"seed_update/{layer.name}/{part}"] for part in ("weights", "biases")])


def loss(target: Any, logits: Any) -> Any:
    """Mean sigmoid cross-entropy against soft labels; both (batch, z, y, x, 1)."""
    # max(x, 0) - x t + log(1 + exp(-|x|)), which does not overflow.
    return ops.mean(ops.relu(logits) - logits * target + ops.softplus(-ops.abs(logits)))


def _convolution(features: int, name: str, activation: str | None = None) -> layers.Conv3D:
    return layers.Conv3D(features, 3, padding="same", activation=activation, name=name)


def _convolutions(model: keras.Model) -> list[layers.Conv3D]:
    return [layer for layer in model.layers if isinstance(layer, layers.Conv3D)]
