"""The network of the blog post that this project started from. It reduces 256 x 256 pixels to one, and goes back up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodrunner.segmentation.unet.network import Choices, NetworkSpec

if TYPE_CHECKING:
    import keras
    from keras import layers

    from floodrunner.segmentation.unet.tiling import Tiles

INPUT_SIZE = 256
DEFAULTS = Choices(depth=8, width=64, squash=True, crop=INPUT_SIZE, batch_size=12, loss="dice")
OUTPUTS = 1
COLOUR = False

_WIDEST = 8  # largest number of channels, as a multiple of the width
_DROPOUTS = 3
_MARGIN = 32


def check(choices: Choices) -> None:
    if choices.crop != INPUT_SIZE:
        raise ValueError(
            f"crop is {choices.crop}, but the blog's network takes {INPUT_SIZE} x {INPUT_SIZE}; leave crop out"
        )
    for name in ("depth", "width"):
        if (value := getattr(choices, name)) != getattr(DEFAULTS, name):
            raise ValueError(f"{name} is {value}, but that of the blog's network is fixed; leave {name} out")
    if choices.batch_size == 1:
        raise ValueError(
            "batch_size is 1, but the blog's network reduces a crop to one pixel: batch normalisation would turn every "
            "single value into 0; set batch_size to 2 or more"
        )


def tiles(network: NetworkSpec, longest: int) -> Tiles:
    """Returns tiles of 256 x 256, whatever `longest` is. Every pixel depends on all other pixels of its tile, so
    neighbouring tiles never agree fully. The difference is largest within 32 pixels of an edge; these are left out."""
    from floodrunner.segmentation.unet.tiling import Tiles

    return Tiles(1, INPUT_SIZE, INPUT_SIZE, _MARGIN)


def folded(network: NetworkSpec, model: keras.Model) -> keras.Model:
    """Returns the model unchanged."""
    return model


def weight_shapes(network: NetworkSpec) -> list[tuple[int, ...]]:
    widths = _widths(network)
    shapes: list[tuple[int, ...]] = []
    for level, width in enumerate(widths):
        channels = widths[level - 1] if level else network.channels
        shapes += [(4, 4, channels, width), (width,), *[(width,)] * (4 if level else 0)]
    channels = widths[-1]
    for width in widths[-2::-1]:
        shapes += [(2, 2, width, channels), *[(width,)] * 5]
        channels = 2 * width
    return [*shapes, (2, 2, OUTPUTS, channels), (OUTPUTS,)]


def build(network: NetworkSpec) -> keras.Model:
    """Builds the network: 4 x 4 convolutions with stride 2 down to one pixel, and transposed convolutions back up.

    The order is that of the blog post: activation, convolution, normalisation, dropout. The first and the last
    convolution are not normalised, and the first has no activation before it.
    """
    import keras
    from keras import layers, ops

    widths = _widths(network)
    x = given = layers.Input((INPUT_SIZE, INPUT_SIZE, network.channels))
    skips = []
    for level, width in enumerate(widths):
        if level:
            x = layers.LeakyReLU(0.2)(x)
        x = layers.Conv2D(width, 4, strides=2, padding="same", name=f"down{level + 1}")(x)
        if level:
            x = layers.BatchNormalization()(x)
        skips.append(x)
    for level, skip in enumerate(reversed(skips[:-1])):
        x = _up(skip.shape[-1], level + 1)(ops.relu(x))
        x = layers.BatchNormalization()(x)
        if level < _DROPOUTS:
            x = layers.Dropout(0.5)(x)
        x = layers.Concatenate()([x, skip])
    return keras.Model(given, _up(OUTPUTS, len(widths), activation="sigmoid")(ops.relu(x)))


def _widths(network: NetworkSpec) -> list[int]:
    return [network.width * min(2**level, _WIDEST) for level in range(network.depth)]


def _up(filters: int, level: int, activation: str | None = None) -> layers.Conv2DTranspose:
    from keras import layers

    return layers.Conv2DTranspose(
        filters, 2, strides=2, activation=activation, kernel_initializer="he_uniform", name=f"up{level}"
    )
