"""Where a volume lies and how large its voxels are, and how an HDF5 file says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from floodrunner.contract.lengths import doubt
from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import attribute
from floodrunner.stages.storage.words import shown

_SMALLEST_NM, _LARGEST_NM = 0.05, 1e6
"""Voxel sizes outside this range are taken for another unit."""


@dataclass(frozen=True)
class Place:
    """Voxel size of a volume in nm, and the offset of its corner, in voxels, from the corner of the whole stack."""

    voxel_size_xyz: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset_xyz: tuple[int, int, int] = (0, 0, 0)

    @property
    def known_voxel_size(self) -> tuple[float, float, float] | None:
        """Voxel size in nm, x, y, z; None if it is 1 x 1 x 1 nm, which stands for an unknown size, or cannot be one."""
        unknown = self.voxel_size_xyz == Place().voxel_size_xyz or doubt(self.voxel_size_xyz)
        return None if unknown else self.voxel_size_xyz

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in nm, z, y, x."""
        x, y, z = self.voxel_size_xyz
        return (z, y, x)

    @property
    def offset(self) -> tuple[int, int, int]:
        """Offset in voxels, z, y, x."""
        x, y, z = self.offset_xyz
        return (z, y, x)

    def shifted(self, start: tuple[int, int, int]) -> Place:
        """The place of a box that starts at `start` (z, y, x) inside this volume."""
        x, y, z = self.offset_xyz
        return Place(self.voxel_size_xyz, (x + start[2], y + start[1], z + start[0]))


def place_in_file(
    dataset: h5py.Dataset, where: str | Path, axes: tuple[int, int, int]
) -> tuple[Place, bool, tuple[str, ...]]:
    """Reads the place of a volume: from our attributes `voxel_size_xyz` and `offset_xyz`, or from those of others.

    `element_size_um` is in micrometres (the HDF5 plug-in of Fiji, PlantSeg); `resolution` and `offset` are in nm
    (CREMI). They have the order of the dataset's axes, mostly z, y, x. A size of which only x differs is not used: it
    looks like x, y, z, as CloudVolume and KNOSSOS write it.

    Args:
      axes: which axes of the dataset are z, y and x.

    Returns:
      The place, whether the file gives the voxel size, and what was taken from attributes of others or left out.

    Raises:
      InputError: if one of our attributes cannot be right.
    """
    remarks: list[str] = []
    order = ["zyx"[axes.index(axis)] for axis in sorted(axes)]
    size = _our_size(dataset, where) or _size_of_others(dataset, where, order, remarks)
    if size and (said := doubt(size)):
        remarks.append(f"the size of its voxels is odd: {said}")
    offset = _our_offset(dataset, where) or _offset_of_others(dataset, where, order, size, remarks)
    return Place(size or (1.0, 1.0, 1.0), offset or (0, 0, 0)), size is not None, tuple(remarks)


def _our_size(dataset: h5py.Dataset, where: str | Path) -> tuple[float, float, float] | None:
    value = attribute(dataset, "voxel_size_xyz", where)
    if value is None:
        return None
    sizes = _three(value)
    if sizes is None or min(sizes) <= 0:
        raise InputError(
            f"{where}: attribute voxel_size_xyz of dataset {dataset.name} is {_shown(value)}; it must be three numbers "
            "above 0, x, y, z in nm: correct or remove it"
        )
    return sizes


def _our_offset(dataset: h5py.Dataset, where: str | Path) -> tuple[int, int, int] | None:
    value = attribute(dataset, "offset_xyz", where)
    if value is None:
        return None
    offset = np.ravel(value)
    if offset.shape != (3,) or offset.dtype.kind not in "ui" or max(abs(int(v)) for v in offset) >= 2**62:
        raise InputError(
            f"{where}: attribute offset_xyz of dataset {dataset.name} is {_shown(value)}; it must be three whole "
            "numbers, x, y, z in voxels: correct or remove it"
        )
    x, y, z = (int(v) for v in offset)
    return (x, y, z)


def _size_of_others(
    dataset: h5py.Dataset, where: str | Path, order: Sequence[str], remarks: list[str]
) -> tuple[float, float, float] | None:
    said = ", ".join(order)
    for name, unit, factor in (("element_size_um", "µm", 1000), ("resolution", "nm", 1)):
        value = attribute(dataset, name, where)
        if value is None:
            continue
        xyz = _three(value, order)
        if xyz is None or not all(_SMALLEST_NM <= v * factor <= _LARGEST_NM for v in xyz):
            remarks.append(
                f"its attribute {name} is {_shown(value)}, which cannot be a voxel size, {said} in {unit}; it is not "
                "used"
            )
            continue
        x, y, z = (round(v * factor, 6) for v in xyz)
        if x != y == z:
            looks = "looks like x, y, z" if order == list("zyx") else "fits another order of the axes"
            remarks.append(
                f"its attribute {name} is {_shown(value)}, which {looks}: as {said} in {unit}, voxels would be "
                f"{x:g} x {y:g} x {z:g} nm (x, y, z); it is not used: set voxel_size_xyz, perhaps to "
                f"[{y:g}, {z:g}, {x:g}]"
            )
            continue
        remarks.append(
            f"the voxel size is {x:g} x {y:g} x {z:g} nm (x, y, z), from the attribute {name} ({said} in {unit})"
        )
        return (x, y, z)
    return None


def _offset_of_others(
    dataset: h5py.Dataset,
    where: str | Path,
    order: Sequence[str],
    size: tuple[float, float, float] | None,
    remarks: list[str],
) -> tuple[int, int, int] | None:
    value = attribute(dataset, "offset", where)
    xyz = None if value is None else _three(value, order)
    if value is None or xyz == (0, 0, 0):
        return None
    if xyz is None or size is None or max(map(abs, xyz)) > 2**53:
        remarks.append(f"its attribute offset is {_shown(value)}; without a voxel size, it is not used")
        return None
    x, y, z = (at / side for at, side in zip(xyz, size, strict=True))
    offset = round(x), round(y), round(z)
    exact = all(abs(at - n) < 0.01 for at, n in zip((x, y, z), offset, strict=True))
    remarks.append(
        f"its corner is at voxel {', '.join(map(str, offset))} (x, y, z), from the attribute offset "
        f"({', '.join(order)} in nm), "
        + (_shown(value) if exact else f"{_shown(value)}, which is not a multiple of the voxel size: it is rounded")
    )
    return offset


def _three(value: object, order: Sequence[str] = "xyz") -> tuple[float, float, float] | None:
    """Returns x, y, z of three numbers that have this order; None if they are no three numbers."""
    numbers = np.ravel(np.asarray(value))
    if numbers.shape != (3,) or numbers.dtype.kind not in "uif" or not np.isfinite(numbers).all():
        return None
    x, y, z = (float(numbers[order.index(axis)]) for axis in "xyz")
    return (x, y, z)


def _shown(value: object) -> str:
    return shown(str(value.tolist() if isinstance(value, np.ndarray | np.generic) else value))
