"""Heads: what is known of an input or of an output before its data is read or made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from floodrunner.stages.storage.places import Place

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Volume:
    """A volume.

    Attributes:
      shape: z, y, x.
      itemsize: bytes of a voxel.
      place: voxel size and offset.
      size_known: whether somebody gave the voxel size.
      names: file names of the sections, if they are known.
    """

    shape: Triple
    itemsize: int
    place: Place
    size_known: bool
    names: tuple[str, ...] | None = None

    @property
    def voxels(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Positions:
    """Positions to train on: the size of their volume and how near they come to its border, both z, y, x.

    `certain` is false if they may stay further away.
    """

    shape: Triple
    room: Triple
    certain: bool
    place: Place


@dataclass(frozen=True)
class Pictures:
    """A set of pictures: the size (y, x) of each, how many channels they have, and bytes of a sample."""

    sizes: tuple[tuple[int, int], ...]
    channels: int
    itemsize: int

    @property
    def pixels(self) -> int:
        return sum(y * x for y, x in self.sizes)


@dataclass(frozen=True)
class FFNModel:
    """A flood-filling network; `fov` and `deltas` are z, y, x. `depth` is None if it is not known yet."""

    depth: int | None
    features: int
    fov: Triple
    deltas: Triple
    trained_on: Volume | None = None


@dataclass(frozen=True)
class UNetModel:
    """A U-Net: the fields of its `NetworkSpec`."""

    architecture: str
    channels: int
    depth: int
    width: int
    squash: bool


Head = Volume | Positions | Pictures | FFNModel | UNetModel


READABLE = {"image", "labels", "partitions", "image-set", "ffn-model", "unet-model"}
"""The kinds of ports whose files have a head that `of_file` reads."""


def of_file(kind: str, path: str) -> Head | None:
    """The head of what a finished step or the user has made; None if nothing is known of this kind.

    Args:
      kind: of the port.

    Raises:
      InputError: if it cannot be read.
    """
    from floodrunner.stages.storage import ffn_models, image_sets, unet_models
    from floodrunner.stages.storage.labels import check_labels
    from floodrunner.stages.storage.volumes import kept_names, open_volume

    if kind in ("image", "labels", "partitions"):
        with open_volume(path) as volume:
            if kind == "labels":
                check_labels(path, volume)
            return Volume(volume.shape, volume.dtype.itemsize, volume.place, volume.size_known, kept_names(volume))
    if kind == "image-set":
        images = image_sets.read_heads(path)
        sizes = tuple((shape[0], shape[1]) for shape, _ in images)
        return Pictures(sizes, 3 if len(images[0][0]) == 3 else 1, images[0][1].itemsize) if images else None
    if kind == "ffn-model":
        network, _ = ffn_models.read_head(path)
        return FFNModel(*network)
    if kind == "unet-model":
        return UNetModel(*unet_models.read_head(path))
    return None
