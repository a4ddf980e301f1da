"""Decodes the pixels of a page of a TIFF file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tifffile

from floodrunner.stages.readers import forms, jpeg, orientation
from floodrunner.stages.readers.tiff_page import Page

_JPEG = (6, 7, 33007, 34892)
_JPEG_2000 = (33003, 33004, 33005, 34712)
_SIZE_OF_JPEG_2000 = b"\xff\x4f\xff\x51"


def pixels(where: str, page: tifffile.TiffPage, known: Page) -> np.ndarray:
    """Decodes a page.

    Args:
      where: name of the page, for messages.
      page: the page.
      known: what `look` returned for the page.

    Returns:
      (y, x) or (y, x, samples): the values as stored, turned by the orientation of the page; ImageJ's signed numbers
      with their sign.

    Raises:
      InputError: if the page is truncated or damaged.
    """
    try:
        if not _codestreams_fit(page):
            raise forms.damaged(where)
        array: np.ndarray = page.asarray()
    except (MemoryError, forms.FileError):
        raise
    except Exception as error:  # for a damaged page tifffile and imagecodecs may raise almost anything
        raise forms.damaged(where) from error
    planar = known.form.samples > 1 and page.planarconfig == 2
    return finished(np.moveaxis(array, 0, -1) if planar else array, known)


def _codestreams_fit(page: tifffile.TiffPage) -> bool:
    """Returns whether no strip or tile has more pixels, by its own head, than it should. Decoders go by that head.

    Up to a block of JPEG, 32 x 32 pixels, may stand beyond the edge.
    """
    size_at = jpeg.size_at if page.compression in _JPEG else _jpeg_2000_size_at
    if page.compression not in _JPEG + _JPEG_2000:
        return True
    shape = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    most = (shape[0] + 32) * (shape[1] + 32)
    return all(math.prod(size_at(page.parent.filehandle, start)) <= most for start in page.dataoffsets)


def _jpeg_2000_size_at(opened: Any, start: int) -> tuple[int, int]:
    """Reads height and width from the JPEG 2000 data that begin at a position of a file; 0, 0 if they do not tell.

    Source: ITU-T T.800 (2019), A.5.1, the marker segment SIZ.
    """
    opened.seek(start)
    head = opened.read(1024)
    at = head.find(_SIZE_OF_JPEG_2000)
    if at < 0:
        return 0, 0
    right, bottom, left, top = (int.from_bytes(head[at + k : at + k + 4], "big") for k in (8, 12, 16, 20))
    return max(0, bottom - top), max(0, right - left)


def finished(array: np.ndarray, known: Page) -> np.ndarray:
    """Turns stored pixels by the orientation of their page, and gives ImageJ's signed numbers their sign."""
    if known.signed:
        array = (array ^ np.uint16(0x8000)).view(np.int16)
    return orientation.turned(array, known.orientation)
