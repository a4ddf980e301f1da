"""The disk on which the engine keeps images: whether it can be seen from here, and whether new images fit on it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from floodrunner.runner.engines.docker import client, images

_NEEDED_BYTES = {images.CPU: 4e9, images.GPU: 15e9}
"""Kind of image -> bytes that its build needs: twice the size of the image (for GPUs, of the image for JAX).

To make a layer, Docker copies the files that a build step wrote.
"""
_CONTAINERD = Path("/var/lib/containerd")


class Room(NamedTuple):
    """Free and needed bytes in the folder where the engine keeps images."""

    folder: Path
    free: int
    needed: float


def room(kinds: Iterable[str]) -> Room | None:
    """The free space on the engine's disk, and the space that the build of these kinds of images needs.

    A present image needs no space, because building it again uses its layers.

    Returns:
      None if the engine is in another (virtual) machine, whose disk cannot be seen from here.

    Raises:
      UserError: if the engine does not answer.
    """
    info = client.info()
    snapshots = any("io.containerd.snapshotter" in str(pair) for pair in info.get("DriverStatus") or [])
    folder = _CONTAINERD if snapshots and _CONTAINERD.is_dir() else Path(info.get("DockerRootDir") or "")
    if info.get("Name") != platform.node() or not folder.is_dir():
        return None
    needed = sum(_NEEDED_BYTES[kind] for kind in kinds if images.find(kind) is None)
    return Room(folder, psutil.disk_usage(str(folder)).free, needed)
