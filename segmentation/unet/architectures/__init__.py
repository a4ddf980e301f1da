"""U-Net architectures: one module for each, as described in `network.Architecture`, and the list of their names."""

from __future__ import annotations

from segmentation.unet.architectures import blog, classic
from segmentation.unet.network import Architecture, NetworkSpec

ARCHITECTURES: dict[str, Architecture] = {"classic": classic, "blog": blog}


def architecture_of(network: NetworkSpec) -> Architecture:
    """Raises KeyError for an architecture that is not in the list."""
    return ARCHITECTURES[network.architecture]
