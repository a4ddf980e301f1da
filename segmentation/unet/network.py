"""U-Nets: the classic one, of any depth and width, and the one of the blog post that this project starts from."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from keras import layers, ops

BLOG_SIZE = 256
"""Side of the blog's input, pixels."""

_MOMENTUM = 0.98  # of the mean and variance that prediction normalises with: over some 50 steps
_BLOG_FILTERS = (64, 128, 256, 512, 512, 512, 512, 512)
_BLOG_DROPOUTS = 3


class Network(NamedTuple):
    """What defines a network besides its weights.

    Attributes:
      architecture: `classic` or `blog`.
      channels: of the image, 1 or 3; the blog's has 1.
      depth: how often the classic one halves the image.
      width: channels of its first level; each level further down has twice as many.
      squash: whole pictures are resized to 256 x 256 for it.
    """

    architecture: Literal["classic", "blog"]
    channels: int
    depth: int
    width: int
    squash: bool = False


def blog(squash: bool) -> Network:
    """The blog's network, on whole pictures resized to 256 x 256 as there, or on parts of 256 x 256."""
    return Network("blog", 1, len(_BLOG_FILTERS), _BLOG_FILTERS[0], squash)


def multiple(network: Network) -> int:
    """What the sides of the network's input must be multiples of, pixels; the blog's are 256."""
    return int(2**network.depth)


def outputs(network: Network) -> int:
    """How many of the channels of `instances.targets` it predicts."""
    return 1 if network.architecture == "blog" else 3


def margin(network: Network) -> int:
    """How wide an edge of a part of a picture is predicted otherwise than in the whole, at most, pixels.

    That is, of a part that is cut at multiples of `multiple`, so that the grids of all levels are those of the whole.
    Two 3 x 3 convolutions at level l reach 2 * 2**l, on the way down and on the way up, and 2 * 2**depth at the bottom;
    with what pooling rounds up these are 6 * 2**depth - 2.

    Raises:
      ValueError: for the blog's, in which every pixel sees all others.
    """
    if network.architecture == "blog":
        raise ValueError("in the blog's network every pixel sees all others: no part of a picture is as in the whole")
    return 6 * multiple(network)


def build(network: Network) -> keras.Model:
    """The network with fresh weights.

    It takes (batch, y, x, channels) float32, the normalised image, and returns (batch, y, x, k) float32, each from 0
    to 1: how probably the pixel is foreground, interior, contact (see `instances.targets`). The classic one is fully
    convolutional; the blog's takes 256 x 256 and returns the first of these.
    """
    return _blog() if network.architecture == "blog" else _classic(network, normalised=True)


def folded(network: Network, model: keras.Model) -> keras.Model:
    """The same network for prediction alone, a sixth faster: without normalisation, which convolutions take over.

    What a normalisation does in prediction is to scale and shift each channel; so the convolution before it has the
    product of the kernel and the scale, and the shift for a bias. Results differ by rounding.

    Args:
      model: what `build` gave, with its weights; it is not changed. The blog's network is returned as it is.

    Source: Jacob et al., CVPR (2018), 3.2.
    """
    if network.architecture == "blog":
        return model
    weights: list[np.ndarray] = []
    for layer in model.layers:
        own = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            gain, shift, mean, variance = own
            scale = gain / np.sqrt(variance + layer.epsilon)
            own = [weights.pop() * scale, shift - mean * scale]
        weights += own
    plain = _classic(network, normalised=False)
    plain.set_weights(weights)
    return plain


def _classic(network: Network, normalised: bool) -> keras.Model:
    """Two 3 x 3 convolutions a level, max pooling, transposed convolutions, skip connections.

    Source: Ronneberger et al., MICCAI (2015), with padding and with batch normalisation. In prediction that is fixed
    for each channel, so that it is the same for a tile as for the whole.
    """
    widths = [network.width * 2**level for level in range(network.depth + 1)]
    given = layers.Input((None, None, network.channels))
    x, skips = given, []
    for width in widths[:-1]:
        x = _double(x, width, normalised)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _double(x, widths[-1], normalised)
    for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2, kernel_initializer="he_normal")(x)
        x = _double(layers.Concatenate()([skip, x]), width, normalised)
    return keras.Model(given, layers.Conv2D(outputs(network), 1, activation="sigmoid")(x))


def _double(x: Any, width: int, normalised: bool) -> Any:
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=not normalised, kernel_initializer="he_normal")(x)
        if normalised:
            x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
        x = ops.relu(x)
    return x


def _blog() -> keras.Model:
    """Eight convolutions, 4 x 4 with stride 2, from 256 x 256 down to one pixel, and eight transposed ones back up.

    In the order of the post: activation, convolution, normalisation, dropout; neither the first nor the last
    convolution is normalised, the first has no activation before it.
    """
    x = given = layers.Input((BLOG_SIZE, BLOG_SIZE, 1))
    skips = []
    for level, filters in enumerate(_BLOG_FILTERS):
        if level:
            x = layers.LeakyReLU(0.2)(x)
        x = layers.Conv2D(filters, 4, strides=2, padding="same", name=f"down{level + 1}")(x)
        if level:
            x = layers.BatchNormalization()(x)
        skips.append(x)
    for level, skip in enumerate(reversed(skips[:-1])):
        x = _up(skip.shape[-1], level + 1)(ops.relu(x))
        x = layers.BatchNormalization()(x)
        if level < _BLOG_DROPOUTS:
            x = layers.Dropout(0.5)(x)
        x = layers.Concatenate()([x, skip])
    return keras.Model(given, _up(1, len(_BLOG_FILTERS), activation="sigmoid")(ops.relu(x)))


def _up(filters: int, level: int, activation: str | None = None) -> layers.Conv2DTranspose:
    return layers.Conv2DTranspose(
        filters, 2, strides=2, activation=activation, kernel_initializer="he_uniform", name=f"up{level}"
    )
