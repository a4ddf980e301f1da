"""Writes TIFF files of one page."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import tifffile

_STRIP_BYTES = 2**18


def write_page(file: Path, pixels: np.ndarray) -> None:
    """Writes (y, x) or (y, x, 3) numbers as a TIFF file of one page, in strips that are compressed with zlib.

    Python's zlib compresses them: tifffile would use whatever library the installed imagecodecs brings, so the same
    pixels would give different files.

    Raises:
      OSError: if the file cannot be written.
    """
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    stored = np.packbits(pixels, axis=-1) if pixels.dtype == bool else pixels  # TIFF stores 8 bools in a byte
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)  # the byte order in tifffile's header
    strips = (zlib.compress(stored[y : y + rows].tobytes(), 6) for y in range(0, len(stored), rows))
    colour = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(
        file,
        strips,
        shape=pixels.shape,
        dtype=pixels.dtype.newbyteorder("="),
        rowsperstrip=rows,
        photometric=colour,
        compression="zlib",
        metadata=None,
    )
