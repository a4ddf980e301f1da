"""Reads PNG files: the head as the file stores it, the pixels through Pillow.

Pillow hides what a file stores: it opens 16-bit colour as 8-bit colour, and rescales grey of 2 or 4 bits to 0 ... 255.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from floodrunner.stages.readers import orientation
from floodrunner.stages.readers.forms import FileError, Form, Section, damaged
from floodrunner.stages.readers.pillow import Image
from floodrunner.stages.storage.words import no_permission

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = 33  # bytes: signature, and the first chunk, which holds width, height, bit depth and colour type
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples per pixel
_PALETTE = 3
_PIXELS = b"IDAT"
_RATIO = 1032  # the most that Deflate compresses
_MOST_EXIF = 2**20


def head(file: Path) -> Section:
    """Reads size and pixel form of a PNG file from what stands before its pixels.

    The size is that of the pixels turned as viewers show them.

    Raises:
      InputError: if the file is not a PNG file, is damaged, or is an animation.

    Source: PNG specification, third edition (W3C, 2025), 11.2.1 IHDR, 11.3.2.5 eXIf, 11.3.4.1 acTL.
    """
    try:
        with open(file, "rb") as opened:
            data, chunks, size = opened.read(_HEAD), _chunks(opened), os.fstat(opened.fileno()).st_size
    except PermissionError:
        raise no_permission(file) from None
    if data[: len(_SIGNATURE)] != _SIGNATURE:
        what = "is empty" if not data else "is not a PNG file, although its name says so"
        raise FileError(file, f"{what}; save it as PNG, or copy it again from its source")
    if len(data) < _HEAD or int.from_bytes(chunks[_PIXELS], "big") > size:  # Pillow would ask for so much memory
        raise damaged(file)
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    depth, colour = data[24], data[25]
    if colour not in _SAMPLES or not width or not height:
        raise damaged(file)
    if width * height * depth * _SAMPLES[colour] // 8 > _RATIO * size:
        raise damaged(file)
    frames = int.from_bytes(chunks.get(b"acTL", b"")[:4], "big")
    if frames > 1:
        raise FileError(file, f"is an animation of {frames} pictures; save each of them as a file")
    turn = orientation.of_exif(chunks.get(b"eXIf"))
    form = Form(depth, _SAMPLES[colour], "palette" if colour == _PALETTE else "unsigned")
    return Section(file.name, *orientation.size_of(height, width, turn), form, orientation.remarks(turn))


def _chunks(opened: BinaryIO) -> dict[bytes, bytes]:
    """Reads the chunks between the first one and the pixels that change what the pixels mean.

    Returns:
      Name -> content; but of the first chunk with pixels its length, as stored.
    """
    found: dict[bytes, bytes] = {}
    while True:
        start = opened.read(8)
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        if len(start) < 8 or kind in (_PIXELS, b"IEND"):
            return found | {_PIXELS: start[:4]}
        if kind in (b"acTL", b"eXIf") and length <= _MOST_EXIF:
            found[kind] = opened.read(length)
            opened.seek(4, os.SEEK_CUR)  # the checksum
        else:
            opened.seek(length + 4, os.SEEK_CUR)


def pixels(file: Path, form: Form) -> np.ndarray:
    """Decodes a PNG file.

    Args:
      form: the pixel form that `head` returned for this file.

    Returns:
      (y, x) or (y, x, samples), turned as viewers show them: the values as stored, but 16-bit colours in 8 bits.

    Raises:
      InputError: if the file is truncated or damaged.
    """
    try:
        with Image.open(file, formats=("PNG",)) as image:
            array = np.asarray(image)
            turn = orientation.of_exif(image.info.get("exif"))
    except MemoryError:
        raise
    except Exception as error:  # for a damaged file Pillow may raise almost any exception
        raise damaged(file) from error
    with open(file, "rb") as opened:
        opened.seek(_HEAD)
        told = orientation.of_exif(_chunks(opened).get(b"eXIf"))
    if turn != told:
        raise FileError(file, "has its orientation behind its pixels, where some miss it; open it and save it again")
    return orientation.turned(as_stored(array, form), turn)


def as_stored(pixels: np.ndarray, form: Form) -> np.ndarray:
    """Undoes Pillow's rescaling of grey of 2 or 4 bits; other pixels are returned as they are.

    Args:
      pixels: (y, x) or (y, x, samples), as Pillow decodes a PNG file.
      form: the pixel form that `head` returned for that file.
    """
    if form.samples == 1 and form.type == "unsigned" and form.bits in (2, 4):
        return pixels // (255 // (2**form.bits - 1))
    return pixels
