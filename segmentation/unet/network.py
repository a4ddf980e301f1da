"""What defines a U-Net besides its weights, and what each architecture offers. Loads no Keras: plans read it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import keras

    from segmentation.unet.tiling import Tiles


class NetworkSpec(NamedTuple):
    """What defines a network besides its weights.

    Attributes:
      architecture: name in `architectures.ARCHITECTURES`.
      channels: of the image, 1 or 3.
      depth: how often the network halves the image.
      width: channels of the first level.
      squash: whole pictures are resized to the network's `INPUT_SIZE`.
    """

    architecture: str
    channels: int
    depth: int
    width: int
    squash: bool = False


class Choices(NamedTuple):
    """Settings of a training that depend on the architecture.

    Attributes:
      depth, width, squash: as in `NetworkSpec`.
      crop: side of the crops that the network is trained on, pixels.
      batch_size: crops in a training step.
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
      DEFAULTS: the settings where the user gives none.
      OUTPUTS: how many channels of `instances.targets` the network predicts, counted from the first.
      COLOUR: whether it takes RGB images; otherwise only grey ones.
      INPUT_SIZE: side of the only input it takes, pixels; None if it takes several sizes.
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
        """Raises ValueError if the network cannot be trained with these settings: what was found, what to do."""

    def build(self, network: NetworkSpec) -> keras.Model:
        """The network with fresh weights.

        It takes (batch, y, x, channels) float32, the normalised image, and returns (batch, y, x, OUTPUTS) float32, the
        probability that each pixel is foreground, interior, contact (see `instances.targets`).
        """

    def folded(self, network: NetworkSpec, model: keras.Model) -> keras.Model:
        """A model for prediction alone, faster where possible; its results may differ by rounding.

        Args:
          model: what `build` returned, with its weights; it is not changed.
        """

    def tiles(self, network: NetworkSpec, longest: int) -> Tiles:
        """How pictures are cut into tiles with sides of at most `longest` pixels, where that is sensible."""
