"""Reads PNG sections without changing a value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from contract.stage import InputError
from stages.readers.forms import Form, Section, damaged, no_permission

_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png_section(path: Path) -> Section:
    """Reads the head of a PNG file. Pillow does not tell 16-bit colour from 8-bit, nor 4-bit grey: it rescales."""
    try:
        with open(path, "rb") as file:
            head = file.read(26)
    except PermissionError:
        raise no_permission(path) from None
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        what = "is empty" if not head else "is not a PNG file, whatever its name says"
        raise InputError(f"{path}: {what}; save it as PNG, or copy it again from where it came")
    if len(head) < 26:
        raise damaged(path)
    width, height = (int.from_bytes(head[k : k + 4], "big") for k in (16, 20))
    depth, colour = head[24], head[25]
    if colour not in _PNG_SAMPLES or not width or not height:
        raise damaged(path)
    return Section(
        path.name, height, width, Form(depth, _PNG_SAMPLES[colour], "palette" if colour == 3 else "unsigned")
    )


def png_pixels(path: Path, form: Form) -> np.ndarray:
    """Decodes a PNG file: (y, x) or (y, x, samples), the values as stored.

    Raises:
      InputError: if it is truncated or damaged.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            pixels = np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow has no one type for what a damaged file does to it
        raise damaged(path) from error
    if form.samples == 1 and form.bits in (2, 4):
        return pixels // (255 // (2**form.bits - 1))
    return pixels
