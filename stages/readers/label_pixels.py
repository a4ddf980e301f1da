"""Ids of labels from the pixels of a section: grey levels, palettes, colours."""

from __future__ import annotations

import numpy as np

from contract.stage import InputError
from segmentation.labels import rgb_to_ids
from stages.readers.forms import Form, opaque

_GREYS = "in Fiji: Image > Lookup Tables > Grays, which keeps the ids"


def check_form(found: str, form: Form) -> None:
    """Refuses sections or pictures whose pixels cannot be labels; `found` says where, and in which form.

    Raises:
      InputError: if they are no whole numbers, a palette, inverted, or of unusual colours.
    """
    if form.type == "float":
        raise InputError(
            f"{found}; labels are whole numbers, save them as 16- or 32-bit integers "
            "(in Fiji: Image > Type > 16-bit, with 'Scale when converting' off)"
        )
    if form.type == "palette":
        raise InputError(f"{found}, which may stand for ids or for colours; save them as 8- or 16-bit grey ({_GREYS})")
    if form.type == "inverted":
        raise InputError(f"{found}, stored with 0 as white; save them with 0 as black ({_GREYS})")
    if form.type not in ("unsigned", "signed") or form.samples > 4 or (form.samples > 1 and form.bits != 8):
        raise InputError(
            f"{found}; save them as grey of 8, 16 or 32 bits, one id per object, or as 8-bit RGB as VAST exports it"
        )


def ids_of(pixels: np.ndarray, name: str) -> np.ndarray:
    """The ids in a section, (y, x) uint32 or uint64; colours are read as VAST exports them.

    Raises:
      InputError: if there are transparent pixels, or negative numbers.
    """
    pixels = opaque(pixels, name)
    if pixels.ndim == 3:
        return rgb_to_ids(pixels)
    if pixels.dtype.kind == "i" and pixels.min() < 0:
        raise InputError(f"{name}: holds the negative label {pixels.min()}; labels are 0 (none) or an id above 0")
    return pixels.astype(np.uint64 if pixels.dtype.itemsize == 8 else np.uint32)
