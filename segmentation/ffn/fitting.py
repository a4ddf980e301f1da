"""Fits the sizes that decide how an FFN is trained to the size of the volume and of its voxels.

Imports nothing but the standard library, so that asking costs nothing before any data is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Triple = tuple[int, int, int]

MARGIN = 24
"""google/ffn's margin around training positions, and the half size of the box of its partitions, voxels."""

FIELD, LEAST_FIELD = 33, 17
"""Field of view along the axis with the finest voxels, and the least along the others, voxels. So it is 33 x 33 x 33
for isotropic voxels, and 33 x 33 x 17 for 9 x 9 x 20, 6 x 6 x 30 and 4 x 4 x 30 nm, as published (Januszewski et al.,
Nature Methods 15, 2018) and in google/ffn."""

UNKNOWN, ASSUMED = (1.0, 1.0, 1.0), (30.0, 4.0, 4.0)
"""Voxel size of a volume of which nobody knows it, and the one whose proportions are taken instead, z, y, x, nm."""

LARGE = 64
"""Along an axis of so many voxels or more, `MARGIN` leaves at least a quarter for positions."""

LEAST = 6
"""Voxels along an axis that auto needs: a field of view of 3 that moves by 1 reaches 2 to either side, and a third of
the axis is left for positions."""


class Margin(NamedTuple):
    """A margin, z, y, x, voxels, and what it follows from, in words (`the stack has 20 sections`)."""

    size: Triple
    because: str


class Field(NamedTuple):
    """A field of view and its moves, z, y, x, voxels, and what they follow from, in words."""

    fov: Triple
    deltas: Triple
    because: str


def margin(shape: Sequence[int]) -> Margin:
    """Chooses the margin around training positions, which is also the half size of the box of the partitions.

    It is 24 voxels, like in google/ffn, along an axis of 64 voxels or more. Along a shorter axis it is a third of it,
    so that positions lie in the middle third.

    Args:
      shape: size of the volume, z, y, x.

    Raises:
      ValueError: if the volume has fewer than 6 voxels along an axis; says what to set instead.
    """
    thin = [length < LEAST for length in shape]
    if any(thin):
        axis = thin.index(True)
        single = ", which finds objects in each section by itself" if axis == 0 else ""
        raise ValueError(
            f"{_extent(shape, axis)}, but auto needs {LEAST} or more; use a larger volume, or set "
            f"lom_radius_xyz and margin_xyz {_by_hand(thin, (MARGIN,) * 3)}, fov_xyz "
            f"{_by_hand(thin, (LEAST_FIELD, FIELD, FIELD), 1)} and deltas_xyz {_by_hand(thin, (4, 8, 8))}{single}"
        )
    z, y, x = (MARGIN if length >= LARGE else length // 3 for length in shape)
    short = [_extent(shape, axis) for axis, length in enumerate(shape) if length < LARGE]
    because = short[0] if len(short) == 1 else f"the volume has {_by(shape)} voxels (x, y, z)"
    return Margin((z, y, x), because)


def field_of_view(
    shape: Sequence[int],
    spacing: Sequence[float],
    room: Sequence[int] | None = None,
    fov: Triple | None = None,
    deltas: Triple | None = None,
) -> Field:
    """Chooses the field of view and its moves, so that they stay in the volume around each position.

    The field of view has 33 voxels along the axis with the finest voxels, and the same length in nm along the others,
    but at least 17 voxels. It moves by a quarter of it. Both are smaller where half of it and one move would reach
    further than the margin that `margin` chooses, or than `room`.

    Args:
      shape: size of the volume, z, y, x.
      spacing: size of a voxel, z, y, x, nm; `UNKNOWN` stands for `ASSUMED`.
      room: distance from the positions to the border, z, y, x, voxels, if it is known.
      fov: the field of view, z, y, x, if the user has set it; the moves are fitted to it.
      deltas: the moves, z, y, x, if the user has set them; the field of view is fitted to them.

    Raises:
      ValueError: like `margin`; also if `room` is less than 2 along an axis.
    """
    if fov is not None:
        return Field(fov, _triple([_moves(size) for size in fov]), f"fov_xyz is {numbers(fov)}")
    limits = _square(margin(shape).size)
    free = limits if room is None else [min(both) for both in zip(limits, _square(room), strict=True)]
    known = tuple(spacing) != UNKNOWN
    finest = min(spacing if known else ASSUMED)
    sizes, because = [], []
    for axis, length in enumerate(spacing if known else ASSUMED):
        usual = _odd(max(LEAST_FIELD, FIELD * finest / length))
        near = f"positions come within {free[axis]} voxels of the border along {'z' if axis == 0 else 'x or y'}"
        if free[axis] < 2:
            raise ValueError(f"{near}, but auto needs 2 or more")
        size = _largest(usual, free[axis], None if deltas is None else deltas[axis])
        if size < usual:
            narrow = axis if axis == 0 else 1 + int(shape[2] < shape[1])
            because.append(near if free[axis] < limits[axis] else _extent(shape, narrow))
        sizes.append(size)
    if deltas is not None:
        because.append(f"deltas_xyz is {numbers(deltas)}")
    if not known:
        because.append(f"the voxel size is not known, so that {_by(ASSUMED)} nm is assumed")
    words = " and ".join(dict.fromkeys(because)) or f"voxels are {_by(spacing)} nm"
    return Field(_triple(sizes), deltas or _triple([_moves(size) for size in sizes]), words)


def numbers(zyx: Sequence[int]) -> str:
    """Writes sizes in the order of parameters: `33 33 17` for (17, 33, 33)."""
    return " ".join(map(str, reversed(zyx)))


def _largest(usual: int, limit: int, delta: int | None) -> int:
    """Returns the largest odd size up to `usual` that reaches no further than `limit`."""
    fitting = [size for size in range(usual, 0, -2) if size // 2 + (_moves(size) if delta is None else delta) <= limit]
    least = 1 if delta is None else 2 * delta + 1
    return max(fitting[0] if fitting else 1, least)


def _moves(size: int) -> int:
    """Returns about a quarter of a field of view, at least 1; 0 for one of a single voxel, which could not overlap."""
    return max(size // 4, min(size - 1, 1))


def _square(zyx: Sequence[int]) -> list[int]:
    """Makes y and x alike: only where the field of view is a square, training can swap them to learn more."""
    z, y, x = zyx
    return [z, min(y, x), min(y, x)]


def _odd(size: float) -> int:
    return 2 * math.floor(size / 2) + 1


def _extent(shape: Sequence[int], axis: int) -> str:
    if axis == 0:
        return f"the stack has {shape[0]} section{'s' if shape[0] > 1 else ''}"
    if shape[1] == shape[2]:
        return f"the sections have {shape[2]} x {shape[1]} voxels"
    return f"the sections have {shape[axis]} voxels along {'zyx'[axis]}"


def _by_hand(thin: Sequence[bool], sizes: Sequence[int], flat: int = 0) -> list[int]:
    return [flat if is_thin else size for is_thin, size in zip(thin, sizes, strict=True)][::-1]


def _by(zyx: Sequence[float]) -> str:
    return " x ".join(f"{length:g}" for length in reversed(zyx))


def _triple(sizes: Sequence[int]) -> Triple:
    z, y, x = sizes
    return z, y, x
