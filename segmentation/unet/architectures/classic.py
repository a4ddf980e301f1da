"""The classic U-Net, of any depth and width: two convolutions per level, for pictures of any size.

Source: Ronneberger et al., MICCAI (2015), but with padding and with batch normalisation. During prediction the
normalisation is fixed for each channel, so it is the same for a tile and for the whole picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floodrunner.segmentation.unet.network import Choices, NetworkSpec

if TYPE_CHECKING:
    import keras
    import numpy as np

    from floodrunner.segmentation.unet.tiling import Tiles

DEFAULTS = Choices(depth=4, width=16, squash=False, crop=128, batch_size=4, loss="dice+bce")
OUTPUTS = 3
COLOUR = True
INPUT_SIZE = None

_MOMENTUM = 0.98  # prediction normalises with a mean and variance that are averaged over about 50 steps


def check(choices: Choices) -> None:
    unit = 2**choices.depth
    if choices.squash:
        raise ValueError("squash is for architecture: blog; the classic network takes pictures of any size")
    if choices.crop % unit:
        raise ValueError(
            f"crop is {choices.crop}, but a depth of {choices.depth} needs a multiple of {unit}; "
            f"set it to {-(-choices.crop // unit) * unit}"
        )
    if choices.batch_size == 1 and choices.crop == unit:
        raise ValueError(
            f"batch_size is 1, and a depth of {choices.depth} reduces a crop of {unit} to one pixel: batch "
            "normalisation would turn every single value into 0; set batch_size to 2 or more, or use a smaller depth"
        )


def multiple(network: NetworkSpec) -> int:
    """Returns the number of pixels that the sides of the network's input must be multiples of."""
    return int(2**network.depth)


def margin(network: NetworkSpec) -> int:
    """Returns the width of the edge of a part of a picture, in pixels, where the prediction depends on what is cut off.

    Parts must be cut at multiples of `multiple`, so that the grids of all levels are those of the whole picture. Two
    3 x 3 convolutions at level l reach 2 * 2**l pixels on the way down and again on the way up, and 2 * 2**depth at the
    bottom. With the rounding of pooling, the total is 6 * 2**depth - 2.
    """
    return 6 * multiple(network)


def tiles(network: NetworkSpec, longest: int) -> Tiles:
    """Returns tiles that are longer than `longest` if that is needed to keep half of a tile's side outside the overlap.

    A deep network sees far, so its tiles overlap a lot. With this rule, the network computes at most about four times
    as many pixels as the picture has.
    """
    from floodrunner.segmentation.unet.tiling import Tiles, overlap

    unit, edge = multiple(network), margin(network)
    least = -(-2 * overlap(unit, edge) // unit)
    return Tiles(unit, unit, max(longest // unit, least) * unit, edge)


def build(network: NetworkSpec) -> keras.Model:
    return _build(network, normalised=True)


def weight_shapes(network: NetworkSpec) -> list[tuple[int, ...]]:
    def double(channels: int, width: int) -> list[tuple[int, ...]]:
        return [(3, 3, channels, width), *[(width,)] * 4, (3, 3, width, width), *[(width,)] * 4]

    widths = [network.width * 2**level for level in range(network.depth + 1)]
    shapes: list[tuple[int, ...]] = []
    for channels, width in zip([network.channels, *widths], widths, strict=False):
        shapes += double(channels, width)
    for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
        shapes += [(2, 2, width, below), (width,), *double(2 * width, width)]
    return [*shapes, (1, 1, widths[0], OUTPUTS), (OUTPUTS,)]


def folded(network: NetworkSpec, model: keras.Model) -> keras.Model:
    """Returns the same network without normalisation, which is a sixth faster.

    During prediction, normalisation scales and shifts each channel. The convolution before it can do that as well: its
    kernel is multiplied by the scale, and the shift becomes its bias.

    Source: Jacob et al., CVPR (2018), 3.2.
    """
    import numpy as np
    from keras import layers

    weights: list[np.ndarray] = []
    for layer in model.layers:
        own = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            gain, shift, mean, variance = own
            scale = gain / np.sqrt(variance + layer.epsilon)
            own = [weights.pop() * scale, shift - mean * scale]
        weights += own
    plain = _build(network, normalised=False)
    plain.set_weights(weights)
    return plain


def _build(network: NetworkSpec, normalised: bool) -> keras.Model:
    import keras
    from keras import layers, ops

    def double(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=not normalised, kernel_initializer="he_normal")(x)
            if normalised:
                x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
            x = ops.relu(x)
        return x

    widths = [network.width * 2**level for level in range(network.depth + 1)]
    given = layers.Input((None, None, network.channels))
    x, skips = given, []
    for width in widths[:-1]:
        x = double(x, width)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = double(x, widths[-1])
    for width, skip in zip(widths[-2::-1], skips[::-1], strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2, kernel_initializer="he_normal")(x)
        x = double(layers.Concatenate()([skip, x]), width)
    return keras.Model(given, layers.Conv2D(OUTPUTS, 1, activation="sigmoid")(x))
