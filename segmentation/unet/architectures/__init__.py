"""U-Net architectures, one module each, and the list of their names.

Each module provides what the protocol `Architecture` in `segmentation/unet/network.py` asks for. Code that all
architectures share belongs there, too.
"""

from __future__ import annotations

from floodrunner.segmentation.unet.architectures import blog, classic
from floodrunner.segmentation.unet.network import Architecture, NetworkSpec

ARCHITECTURES: dict[str, Architecture] = {"classic": classic, "blog": blog}


def architecture_of(network: NetworkSpec) -> Architecture:
    """Returns the module of a network's architecture. Raises KeyError if the architecture is not in the list."""
    return ARCHITECTURES[network.architecture]
