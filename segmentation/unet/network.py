"""What defines a U-Net besides its weights, and what each architecture offers.

This module does not load Keras, so that a pipeline can be planned quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import keras

    from floodrunner.segmentation.unet.tiling import Tiles


class NetworkSpec(NamedTuple):
    """What defines a network besides its weights.

    Attributes:
      architecture: name in `architectures.ARCHITECTURES`.
      channels: number of channels of the image, 1 or 3.
      depth: how many times the network halves the image.
      width: number of channels of the first level.
      squash: whether whole pictures are resized to the network's `INPUT_SIZE`.
    """

    architecture: str
    channels: int
    depth: int
    width: int
    squash: bool = False


class Choices(NamedTuple):
    """Training settings that depend on the architecture.

    Attributes:
      depth, width, squash: as in `NetworkSpec`.
      crop: side of the crops that the network is trained on, pixels.
      batch_size: number of crops in a training step.
      loss: name in `losses.LOSSES`.
    """

    depth: int
    width: int
    squash: bool
    crop: int
    batch_size: int
    loss: str


class Architecture(Protocol):
    """A module in `architectures/`. Its header loads no Keras, because `check` runs when a pipeline is planned.

    Attributes:
      DEFAULTS: the settings that are used if the user gives none.
      OUTPUTS: number of channels that the network predicts: the first OUTPUTS channels of `instances.targets`.
      COLOUR: whether the network takes RGB images; otherwise it takes only grey images.
      INPUT_SIZE: side of the only input that the network takes, pixels; None if it takes several sizes.
    """

    @property
    def DEFAULTS(self) -> Choices: ...

    @property
    def OUTPUTS(self) -> int: ...

    @property
    def COLOUR(self) -> bool: ...

    @property
    def INPUT_SIZE(self) -> int | None: ...

    def check(self, choices: Choices) -> None:
        """Raises ValueError if the network cannot be trained with these settings; the message says what to do."""

    def build(self, network: NetworkSpec) -> keras.Model:
        """Builds the network, with new random weights.

        The network takes (batch, y, x, channels) float32, the normalised image, and returns (batch, y, x, OUTPUTS)
        float32, the probability that each pixel is foreground, interior, contact (see `instances.targets`).
        """

    def weight_shapes(self, network: NetworkSpec) -> list[tuple[int, ...]]:
        """Returns the shapes of the weights, in the order of Keras's `get_weights`, without building the network."""

    def folded(self, network: NetworkSpec, model: keras.Model) -> keras.Model:
        """Returns a model only for prediction, faster if possible; its results may differ by rounding.

        Args:
          model: what `build` returned, with its weights; it is not changed.
        """

    def tiles(self, network: NetworkSpec, longest: int) -> Tiles:
        """Returns how pictures are cut into tiles. Tiles exceed `longest` pixels only if the network needs it."""
