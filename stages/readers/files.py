"""One picture, one file: PNG, TIFF or JPEG; what its head says, and its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.readers import tiff
from stages.readers.forms import Form, Section
from stages.readers.jpeg import JPEG, jpeg_pixels, jpeg_section
from stages.readers.png import png_pixels, png_section


def head(file: Path) -> Section:
    """What the head of a file says, judged by its suffix.

    Raises:
      InputError: if it is damaged, is not what its suffix says, or holds more than one picture.
    """
    if file.suffix.lower() == ".png":
        return png_section(file)
    if file.suffix.lower() in JPEG:
        return jpeg_section(file)
    return tiff.single_page(file)


def pixels(file: Path, form: Form) -> np.ndarray:
    """Decodes a file: (y, x) or (y, x, samples), the values as stored. Raises InputError if it is damaged."""
    if file.suffix.lower() == ".png":
        return png_pixels(file, form)
    if file.suffix.lower() in JPEG:
        return jpeg_pixels(file)
    return tiff.page_pixels(file, form)
