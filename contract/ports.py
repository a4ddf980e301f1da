"""Kinds of port, what a port takes, and how its file is named."""

from __future__ import annotations

import re
from typing import NamedTuple

SUFFIXES = {
    "stack": None,  # what a user has: a folder of sections, a multi-page TIFF, an HDF5 dataset; only as an input
    "pictures": None,  # also a folder of files of any size, or of a folder for each picture; only as an input
    "image": ".h5",
    "labels": ".h5",
    "partitions": ".h5",
    "table": ".h5",
    "json": ".json",
    "ffn-model": "",  # "": a folder
    "ffn-checkpoint": "",
    "sections": "",
    "image-set": ".h5",  # pictures that are not sections of one stack: of any size each, with labels where known
    "unet-model": "",
}
"""Kind of port -> suffix of its file, which is named after the port: `volume` of kind `image` is `volume.h5`."""

VOXELS = tuple[int, int, int]
"""x, y, z, in voxels."""


class PortType(NamedTuple):
    """The kinds a port takes and whether it may be left unconnected; written `"image|labels"`, `"image?"`."""

    kinds: tuple[str, ...]
    optional: bool

    @classmethod
    def parse(cls, text: str) -> PortType:
        return cls(tuple(text.rstrip("?").split("|")), text.endswith("?"))


def split_dataset(path: str) -> tuple[str, str | None]:
    """Splits `image.h5:raw` or `image.h5@raw` into file and dataset; a path without a dataset comes back whole.

    The separator counts only behind an HDF5 suffix, so neither `C:\\data` nor `a@b/images` is taken apart.
    """
    match = re.fullmatch(r"(.*\.(?:h5|hdf5|hdf))(?:[:@](.+))?", path, re.IGNORECASE)
    return (match[1], match[2]) if match else (path, None)


def port_file(port: str, kind: str) -> str:
    """The name of a port's file or folder inside the step's folder."""
    return f"{port}{SUFFIXES[kind]}"


_HARMLESS = {"thumbs.db", "desktop.ini"}


def is_harmless(name: str) -> bool:
    """Whether a file in a folder of sections or pictures is ignored: hidden, or created by a file manager."""
    # Windows marks downloads with an alternate data stream, which WSL may show as a file of its own.
    return name.startswith(".") or name.lower() in _HARMLESS or name.endswith(":Zone.Identifier")
