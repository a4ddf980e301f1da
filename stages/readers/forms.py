"""How the pixels of a section are stored; and what a PNG file holds, before and after decoding."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from contract.stage import InputError

Image.MAX_IMAGE_PIXELS = None  # a guard against hostile web pictures; a section of 20,000 x 20,000 is plain EM

_COLOURS = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}


class Form(NamedTuple):
    """How the pixels of a section are stored."""

    bits: int
    samples: int = 1
    type: str = "unsigned"  # signed, float, palette, inverted (0 is white)

    def __str__(self) -> str:
        if self.type == "palette":
            return f"{self.bits}-bit palette"
        kind = "" if self.type == "unsigned" else f"{self.type} "
        return f"{self.bits}-bit {kind}{_COLOURS.get(self.samples, f'with {self.samples} channels')}"


class Section(NamedTuple):
    """What the head of a section says, before its pixels are decoded."""

    name: str
    height: int
    width: int
    form: Form


def form_of(dtype: np.dtype, samples: int = 1) -> Form:
    """The form of pixels that are stored as this type."""
    if dtype.kind == "b":
        return Form(1, samples)
    return Form(dtype.itemsize * 8, samples, {"u": "unsigned", "i": "signed", "f": "float"}.get(dtype.kind, str(dtype)))


def opaque(pixels: np.ndarray, name: str) -> np.ndarray:
    """Takes the alpha channel off a section (y, x) or (y, x, 1 to 4).

    Raises:
      InputError: if any of it is not opaque.
    """
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    alpha, opacity = pixels[..., -1], np.iinfo(pixels.dtype).max
    if (alpha != opacity).any():
        raise InputError(
            f"{name}: has transparent pixels ({(alpha != opacity).mean():.0%} of them); save it without transparency"
        )
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]


def damaged(where: str | Path) -> InputError:
    return InputError(f"{where}: is truncated or damaged; copy it again from where it came")


def no_permission(path: str | Path) -> InputError:
    return InputError(f"{path}: may not be read by this user; give it the right to read, or copy it")
