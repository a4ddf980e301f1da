"""Lengths of voxels and pixels that users give. Checking a pipeline imports this module, so it imports nothing slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

_SMALLEST, _LARGEST = 0.1, 100_000.0  # nm; an edge of 100 µm is far beyond what sees cells


def doubt(lengths: Sequence[float]) -> str | None:
    """Says why lengths, nm, can hardly be those of voxels or pixels, and what may be meant; None if they can."""
    odd = next((length for length in lengths if not _SMALLEST <= length <= _LARGEST), None)
    if odd is None:
        return None
    if odd > _LARGEST:
        return f"{odd:,.6g} nm is more than 100 µm; lengths are in nm"
    in_nm = ", ".join(f"{1000 * length:g}" for length in lengths)
    return f"{odd:g} nm is less than an atom; did you mean µm? write [{in_nm}]"


def _checked(lengths: tuple[float, ...]) -> tuple[float, ...]:
    if said := doubt(lengths):
        raise ValueError(said)
    return lengths


Nanometres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
VoxelSize = Annotated[tuple[Nanometres, Nanometres, Nanometres], AfterValidator(_checked)]
"""Edges of a voxel, x, y, z, nm. Those that look like another unit are refused."""
PixelSize = Annotated[tuple[Nanometres, Nanometres], AfterValidator(_checked)]
"""Edges of a pixel, x, y, nm. Those that look like another unit are refused."""
