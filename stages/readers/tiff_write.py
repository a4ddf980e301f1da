"""Writes TIFF files: of one page, or of a whole stack."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

_STRIP_BYTES = 2**18
_BIG = 2**32 - 2**25
"""Bytes from which on a TIFF needs offsets of 64 bits."""


_UNIT, _NM = "micron", 1000.0  # ImageJ shows it as µm


def write_page(file: Path, pixels: np.ndarray, voxel_size_xyz: Sequence[float] | None = None) -> None:
    """Writes (y, x) or (y, x, 3) numbers as a TIFF file of one page, in strips that are compressed with zlib.

    Python's zlib compresses them: tifffile would use whatever library the installed imagecodecs brings, so the same
    pixels would give different files.

    Args:
      voxel_size_xyz: length of a pixel along x and y, nm, and the distance of sections, if it is known. It is written
        as ImageJ writes it, so Fiji shows it at Image > Properties. None: nothing is written.

    Raises:
      OSError: if the file cannot be written.
    """
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    stored = np.packbits(pixels, axis=-1) if pixels.dtype == bool else pixels  # TIFF stores 8 bools in a byte
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)  # the byte order in tifffile's header
    strips = (zlib.compress(stored[y : y + rows].tobytes(), 6) for y in range(0, len(stored), rows))
    colour = "rgb" if pixels.ndim == 3 else "minisblack"
    scale = {} if voxel_size_xyz is None else _scale(voxel_size_xyz)
    tifffile.imwrite(
        file,
        strips,
        shape=pixels.shape,
        dtype=pixels.dtype.newbyteorder("="),
        rowsperstrip=rows,
        photometric=colour,
        compression="zlib",
        metadata=None,
        **scale,
    )


def write_stack(file: Path, sections: np.ndarray, voxel_size_xyz: Sequence[float] | None = None) -> None:
    """Writes (z, y, x) or (z, y, x, 3) numbers as a TIFF file with a page for each section, as Fiji opens a stack.

    Args:
      voxel_size_xyz: like for `write_page`.

    Raises:
      OSError: if the file cannot be written.
    """
    description = f"ImageJ=1.11a\nimages={len(sections)}\nslices={len(sections)}\n"
    scale = {} if voxel_size_xyz is None else _scale(voxel_size_xyz)
    scale["description"] = description + scale.pop("description", "").partition("\n")[2]
    tifffile.imwrite(
        file,
        sections,
        photometric="rgb" if sections.ndim == 4 else "minisblack",
        compression="zlib",
        metadata=None,
        bigtiff=sections.nbytes > _BIG,
        **scale,
    )


def _scale(voxel_size_xyz: Sequence[float]) -> dict[str, Any]:
    """Returns the arguments with which tifffile writes a length of pixels.

    Source: ImageJ, `FileOpener.decodeDescriptionString` and `TiffDecoder`: pixels per unit in the tags of the
    resolution, the unit and the distance of sections in the description.
    """
    x, y, *z = (length / _NM for length in voxel_size_xyz)
    spacing = f"spacing={z[0]!r}\n" if z else ""
    return {
        "description": f"ImageJ=1.11a\nunit={_UNIT}\n{spacing}",
        "resolution": (1 / x, 1 / y),
        "resolutionunit": "NONE",
    }
