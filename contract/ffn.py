"""Parameters that the FFN stages share. Checking a pipeline imports this module, so it imports nothing slow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from floodrunner.contract.stage import StageParams


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"{size} is even; a field of view needs a voxel at its centre: use an odd size")
    return size


# The upper limits are far beyond any network in use; they refuse a slip of the keyboard before memory is asked for.
Depth = Annotated[int, Field(ge=1, le=100)]
Features = Annotated[int, Field(ge=1, le=512)]
Size = Annotated[int, Field(ge=1, le=999), AfterValidator(_odd)]
Distance = Annotated[int, Field(ge=0, le=499)]

_MOST_VOXELS = 10_000_000


Auto = Literal["auto"]
"""Stands for sizes that a stage fits to its volume. It replaces a whole list, never one of its numbers."""


class FieldOfView(StageParams):
    """Base class of each `Params` that sets the size and the moves of the network's field of view."""

    fov_xyz: tuple[Size, Size, Size]
    """Size of the field of view, voxels; each number is odd."""
    deltas_xyz: tuple[Distance, Distance, Distance]
    """Distance by which the field of view moves along each axis, voxels; use about a quarter of `fov_xyz`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(self.fov_xyz, self.deltas_xyz)
        return self


class FittedFieldOfView(StageParams):
    """Like `FieldOfView`; `auto` stands for numbers that the stage fits to the volume."""

    fov_xyz: Auto | tuple[Size, Size, Size]
    deltas_xyz: Auto | tuple[Distance, Distance, Distance]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check(*(None if isinstance(each, str) else each for each in (self.fov_xyz, self.deltas_xyz)))
        return self


def _check(fov: Sequence[int] | None, deltas: Sequence[int] | None) -> None:
    """Raises ValueError if numbers that are given cannot be those of a network, or do not fit each other."""
    if fov is not None and math.prod(fov) > _MOST_VOXELS:
        raise ValueError(f"fov_xyz {list(fov)} are {math.prod(fov):,} voxels; use at most {_MOST_VOXELS:,}")
    if fov is not None and deltas is not None and any(2 * d >= size for d, size in zip(deltas, fov, strict=True)):
        raise ValueError(
            f"deltas_xyz {list(deltas)} are too large for fov_xyz {list(fov)}; "
            "use about a quarter of fov_xyz, and less than half"
        )
    if deltas is not None and not any(deltas):
        raise ValueError("deltas_xyz are all 0: the field of view would never move; use about a quarter of fov_xyz")
