"""Turns the pixels of label images into ids, and rejects pixels that cannot be labels.

Labels are whole numbers: grey values, or 8-bit colours as VAST exports them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.labels import clear_unlabelled, rgb_to_ids
from floodrunner.stages.readers.forms import Form, opaque

_GREYS = "in Fiji: Image > Lookup Tables > Grays, which keeps the ids"


def check_form(found: str, form: Form) -> None:
    """Rejects sections or pictures whose pixels cannot be labels.

    Args:
      found: the beginning of the message: which file or stack, and its form.
      form: form of the pixels.

    Raises:
      InputError: if the pixels are not whole numbers, use a palette, store 0 as white, have more than 4 samples, or are
        colours with more or less than 8 bits.
    """
    if form.type == "float":
        raise InputError(
            f"{found}; labels are whole numbers, save them as 16- or 32-bit integers "
            "(in Fiji: Image > Type > 16-bit, with 'Scale when converting' off)"
        )
    if form.type == "palette":
        raise InputError(f"{found}, which may mean ids or colours; save them as 8- or 16-bit grey ({_GREYS})")
    if form.type == "inverted":
        raise InputError(f"{found}, stored with 0 as white; save them with 0 as black ({_GREYS})")
    if form.type not in ("unsigned", "signed") or form.samples > 4 or (form.samples > 1 and form.bits != 8):
        raise InputError(
            f"{found}; save them as grey of 8, 16 or 32 bits, one id per object, or as 8-bit RGB as VAST exports it"
        )


def ids_of(pixels: np.ndarray, name: str) -> np.ndarray:
    """Returns the ids in a label image.

    Args:
      pixels: (y, x) integers or bool; or (y, x, samples) uint8, with colours as VAST exports them.
      name: name of the image, for messages.

    Returns:
      (y, x) uint32, or uint64 if the pixels have 64 bits.

    Raises:
      InputError: if pixels are transparent or negative.
    """
    pixels = opaque(pixels, name)
    if pixels.ndim == 3:
        return rgb_to_ids(pixels)
    if pixels.dtype.kind == "i" and pixels.min() < 0:
        raise InputError(f"{name}: holds the negative label {pixels.min()}; labels are 0 (none) or an id above 0")
    return pixels.astype(np.uint64 if pixels.dtype.itemsize == 8 else np.uint32)


class Unlabelled:
    """Turns the sections of a stack into ids, and counts the voxels whose id means "none" although it is not 0.

    Sections may be passed from several threads at the same time.

    Attributes:
      also: ids that mean "none", besides 0 and those that always do.
      voxels: for each such id that was found, the number of its voxels.
    """

    def __init__(self, also: Sequence[int]) -> None:
        self.also = also
        self.voxels: Counter[int] = Counter()
        self._lock = threading.Lock()

    def ids_of(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Returns the ids in a section, like the function `ids_of`, with 0 for each that means "none".

        Raises:
          InputError: like the function; the message about a negative id names the parameter.
        """
        if pixels.ndim == 3:
            pixels = ids_of(pixels, name)
        pixels, found = clear_unlabelled(pixels, self.also)
        with self._lock:
            self.voxels.update(found)
        if pixels.dtype.kind == "i" and (least := int(pixels.min())) < 0:
            raise InputError(
                f"{name}: holds the negative label {least}; if it means none, set unlabelled: [{least}]; if ids above "
                f"{np.iinfo(pixels.dtype).max} were saved as signed numbers, save them as unsigned ones"
            )
        return ids_of(pixels, name)
