"""One picture, one file: PNG, TIFF or JPEG; what its head says, and its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from stages import _pixels, _tiff
from stages._contract import InputError
from stages._pixels import Form, Section

JPEG = (".jpg", ".jpeg")
"""Suffixes of files whose pixels are not quite what was saved."""

_MODES = {"L": 1, "RGB": 3}


def head(file: Path) -> Section:
    """What the head of a file says, judged by its suffix.

    Raises:
      InputError: if it is damaged, is not what its suffix says, or holds more than one picture.
    """
    if file.suffix.lower() == ".png":
        return _pixels.png_section(file)
    if file.suffix.lower() in JPEG:
        return _jpeg_section(file)
    return _tiff.single_page(file)


def pixels(file: Path, form: Form) -> np.ndarray:
    """Decodes a file: (y, x) or (y, x, samples), the values as stored. Raises InputError if it is damaged."""
    if file.suffix.lower() == ".png":
        return _pixels.png_pixels(file, form)
    if file.suffix.lower() in JPEG:
        return _jpeg_pixels(file)
    return _tiff.page_pixels(file, form)


def _jpeg_section(file: Path) -> Section:
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            mode, (width, height) = image.mode, image.size
    except PermissionError:
        raise _pixels.no_permission(file) from None
    except Exception:  # of a damaged file Pillow raises almost anything
        what = "is not a JPEG file, whatever its name says" if file.stat().st_size else "is empty"
        raise InputError(f"{file}: {what}; copy it again from where it came") from None
    if mode not in _MODES:
        raise InputError(f"{file}: is a JPEG file of colours {mode}; save it as grey or RGB, better as PNG")
    return Section(file.name, height, width, Form(8, _MODES[mode]))


def _jpeg_pixels(file: Path) -> np.ndarray:
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            return np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:
        raise _pixels.damaged(file) from error
