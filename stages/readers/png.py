"""Reads the head of a PNG file, and restores pixel values as the file stores them.

Pillow hides both: it opens 16-bit colour as 8-bit colour, and rescales grey of 2 or 4 bits to 0 ... 255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.readers.forms import FileError, Form, Section, damaged
from stages.storage.words import no_permission

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = 26  # bytes: signature, length and name of the first chunk, width, height, bit depth, colour type
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples per pixel
_PALETTE = 3


def head(file: Path) -> Section:
    """Reads size and pixel form from the first 26 bytes of a PNG file.

    Raises:
      InputError: if the file is not a PNG file, or is damaged.

    Source: PNG specification (W3C, 2003), 11.2.2 IHDR.
    """
    try:
        with open(file, "rb") as opened:
            data = opened.read(_HEAD)
    except PermissionError:
        raise no_permission(file) from None
    if data[: len(_SIGNATURE)] != _SIGNATURE:
        what = "is empty" if not data else "is not a PNG file, although its name says so"
        raise FileError(file, f"{what}; save it as PNG, or copy it again from its source")
    if len(data) < _HEAD:
        raise damaged(file)
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    depth, colour = data[24], data[25]
    if colour not in _SAMPLES or not width or not height:
        raise damaged(file)
    return Section(
        file.name, height, width, Form(depth, _SAMPLES[colour], "palette" if colour == _PALETTE else "unsigned")
    )


def as_stored(pixels: np.ndarray, form: Form) -> np.ndarray:
    """Undoes Pillow's rescaling of grey of 2 or 4 bits; other pixels are returned as they are.

    Args:
      pixels: (y, x) or (y, x, samples), as Pillow decodes a PNG file.
      form: the pixel form that `head` returned for that file.
    """
    if form.samples == 1 and form.bits in (2, 4):
        return pixels // (255 // (2**form.bits - 1))
    return pixels
