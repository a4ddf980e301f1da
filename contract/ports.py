"""The kinds of ports, how a stage's header declares a port, and how the file of a port is named."""

from __future__ import annotations

import re
from dataclasses import dataclass

SUFFIXES = {
    "stack": None,  # the user's sections: a folder, a multi-page TIFF, an HDF5 dataset; only as an input
    "pictures": None,  # the user's pictures, of any sizes: a folder of files or of folders; only as an input
    "image": ".h5",
    "labels": ".h5",
    "partitions": ".h5",
    "coordinates": ".h5",  # positions to train on
    "statistics": ".json",  # mean and standard deviation of an image
    "metrics": ".json",  # scores of a segmentation
    "ffn-model": "",  # the suffix "" means a folder
    "ffn-checkpoint": "",
    "sections": "",
    "image-set": ".h5",  # pictures of different sizes, with labels if they are known; not sections of one stack
    "unet-model": "",
}
"""Kind of port -> suffix of the port's file; None for data that only users provide.

The file is named after the port: an output port `volume` of kind `image` is the file `volume.h5`.
"""

VOXELS = tuple[int, int, int]
"""A size or position: x, y, z, in voxels."""


@dataclass(frozen=True)
class PortType:
    """An input port: the kinds that it takes, and whether it may be left unconnected."""

    kinds: tuple[str, ...]
    optional: bool

    @classmethod
    def parse(cls, text: str) -> PortType:
        """Reads a port as a stage's header declares it: `"image|labels"` takes either kind, `"image?"` is optional."""
        return cls(tuple(text.rstrip("?").split("|")), text.endswith("?"))


def port_file(port: str, kind: str) -> str:
    """The name of a port's file or folder inside the step's folder."""
    return f"{port}{SUFFIXES[kind]}"


def split_dataset(path: str) -> tuple[str, str | None]:
    """Splits `image.h5:raw` or `image.h5@raw` into file and dataset; without a dataset, gives the path and None.

    The separator counts only after an HDF5 suffix, so `C:\\data` and `a@b/images` stay whole.
    """
    match = re.fullmatch(r"(.*?\.(?:h5|hdf5|hdf))(?:[:@](.+))?", path, re.IGNORECASE)
    return (match[1], match[2]) if match else (path, None)


def is_hdf5(name: str) -> bool:
    """Whether a file is an HDF5 file by its name."""
    return name.lower().endswith((".h5", ".hdf5", ".hdf"))


def is_harmless(name: str) -> bool:
    """Whether a file of this name is not the user's data: it is hidden, or a file manager made it."""
    # Windows marks downloaded files with a second stream, which WSL shows as a separate file.
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini") or name.endswith(":Zone.Identifier")
