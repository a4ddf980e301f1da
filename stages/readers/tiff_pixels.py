"""Decodes the pixels of a page of a TIFF file."""

from __future__ import annotations

import numpy as np
import tifffile

from stages.readers import forms, jpeg, orientation
from stages.readers.tiff_page import Page

_JPEG = (6, 7, 33007, 34892)


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
        if page.compression in _JPEG and not _jpeg_fits(page):
            raise forms.damaged(where)
        array: np.ndarray = page.asarray()
    except (MemoryError, forms.FileError):
        raise
    except Exception as error:  # for a damaged page tifffile and imagecodecs may raise almost anything
        raise forms.damaged(where) from error
    planar = known.form.samples > 1 and page.planarconfig == 2
    return finished(np.moveaxis(array, 0, -1) if planar else array, known)


def _jpeg_fits(page: tifffile.TiffPage) -> bool:
    """Returns whether no strip or tile has more pixels, by its own head, than it should. The decoder goes by that head.

    Up to a block of JPEG, 32 x 32 pixels, may stand beyond the edge.
    """
    shape = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    most = (shape[0] + 32) * (shape[1] + 32)
    for start in page.dataoffsets:
        height, width = jpeg.size_at(page.parent.filehandle, start)
        if height * width > most:
            return False
    return True


def finished(array: np.ndarray, known: Page) -> np.ndarray:
    """Turns stored pixels by the orientation of their page, and gives ImageJ's signed numbers their sign."""
    if known.signed:
        array = (array ^ np.uint16(0x8000)).view(np.int16)
    return orientation.turned(array, known.orientation)
