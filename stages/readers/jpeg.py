"""Reads JPEG files, through Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from floodrunner.stages.readers import orientation
from floodrunner.stages.readers.forms import FileError, Form, Section, damaged
from floodrunner.stages.readers.pillow import Image
from floodrunner.stages.storage.words import no_permission

_SAMPLES = {"L": 1, "RGB": 3}
_START = b"\xff\xd8\xff"
_RATIO = 2048
"""Largest ratio of pixels to stored bytes, rounded up: progressive files store 8 x 8 even pixels in 1 bit."""


def head(file: Path) -> Section:
    """Reads the size and pixel form of a JPEG file; the size is that of the pixels turned as viewers show them.

    Raises:
      InputError: if the file is damaged, is not a JPEG file, or has colours that no stage can use.
    """
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            mode, (width, height), exif = image.mode, image.size, image.info.get("exif")
    except PermissionError:
        raise no_permission(file) from None
    except MemoryError:
        raise
    except Exception:  # for a damaged file Pillow may raise almost any exception
        raise FileError(file, _what(file)) from None
    if mode not in _SAMPLES:
        raise FileError(file, f"is a JPEG file with {mode} colours; save it as grey or RGB, preferably as PNG")
    if width * height * _SAMPLES[mode] > _RATIO * file.stat().st_size:
        raise damaged(file)
    turn = orientation.of_exif(exif)
    size = orientation.size_of(height, width, turn)
    return Section(file.name, *size, Form(8, _SAMPLES[mode]), orientation.remarks(turn))


def _what(file: Path) -> str:
    """Says why Pillow does not take a file for a JPEG file, and what to do."""
    with open(file, "rb") as opened:
        start = opened.read(len(_START))
    if start == _START:
        return "is damaged, or a JPEG that cannot be read (12 bits, lossless); copy it again, or save it as PNG"
    what = "is not a JPEG file, although its name says so" if start else "is empty"
    return f"{what}; copy it again from its source"


def size_at(opened: Any, start: int) -> tuple[int, int]:
    """Reads height and width from the JPEG data that begin at a position of a file; 0, 0 if they do not tell.

    Source: ITU-T T.81 (1992), B.1.1.4 and B.2.2.
    """
    at = start + 2
    while True:
        opened.seek(at)
        head = opened.read(9)
        if len(head) < 9 or head[0] != 0xFF:
            return 0, 0
        if 0xC0 <= head[1] <= 0xCF and head[1] not in (0xC4, 0xC8, 0xCC):  # tables and extensions
            return int.from_bytes(head[5:7], "big"), int.from_bytes(head[7:9], "big")
        if head[1] in (0xD9, 0xDA):  # the end, or pixels
            return 0, 0
        at += 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:4], "big")


def pixels(file: Path, form: Form) -> np.ndarray:
    """Decodes a JPEG file.

    Args:
      form: the pixel form that `head` returned for this file.

    Returns:
      (y, x) or (y, x, 3) uint8, turned as viewers show them.

    Raises:
      InputError: if the file is truncated or damaged.
    """
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            return orientation.turned(np.asarray(image), orientation.of_exif(image.info.get("exif")))
    except MemoryError:
        raise
    except Exception as error:  # for a damaged file Pillow may raise almost any exception
        raise damaged(file) from error
