"""Parameters that the FFN stages share. Checking a pipeline imports this module, so it imports nothing slow."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from contract.stage import StageParams


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


class FieldOfView(StageParams):
    """Base class of each `Params` that sets the size and the moves of the network's field of view."""

    fov_xyz: tuple[Size, Size, Size]
    """Size of the field of view, voxels; each number is odd."""
    deltas_xyz: tuple[Distance, Distance, Distance]
    """Distance by which the field of view moves along each axis, voxels; use about a quarter of `fov_xyz`."""

    @model_validator(mode="after")
    def _is_not_too_large(self) -> Self:
        if math.prod(self.fov_xyz) > _MOST_VOXELS:
            raise ValueError(
                f"fov_xyz {list(self.fov_xyz)} are {math.prod(self.fov_xyz):,} voxels; use at most {_MOST_VOXELS:,}"
            )
        return self

    @model_validator(mode="after")
    def _moves_stay_inside(self) -> Self:
        if any(2 * delta >= size for delta, size in zip(self.deltas_xyz, self.fov_xyz, strict=True)):
            raise ValueError(
                f"deltas_xyz {list(self.deltas_xyz)} are too large for fov_xyz {list(self.fov_xyz)}; "
                "use about a quarter of fov_xyz, and less than half"
            )
        if not any(self.deltas_xyz):
            raise ValueError("deltas_xyz are all 0: the field of view would never move; use about a quarter of fov_xyz")
        return self
