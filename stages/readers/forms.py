"""How the pixels of a section are stored, and functions that the readers of all formats share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from floodrunner.contract.stage import InputError


class FileError(InputError):
    """One file, or one page of it, cannot be used. Readers of folders tell a problem of many files in one message.

    Attributes:
      file: the file, or the page, as messages name it.
      problem: what was found and what to do, without the name of the file.
    """

    def __init__(self, file: str | Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = str(file)
        self.problem = problem


_COLOURS = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}


class Form(NamedTuple):
    """How the pixels of a section are stored."""

    bits: int
    samples: int = 1
    type: str = "unsigned"  # or signed, float, palette, inverted (0 is white)

    def __str__(self) -> str:
        if self.type == "palette":
            return f"{self.bits}-bit palette"
        kind = "" if self.type == "unsigned" else f"{self.type} "
        return f"{self.bits}-bit {kind}{_COLOURS.get(self.samples, f'with {self.samples} channels')}"


class Section(NamedTuple):
    """Name, size in pixels and pixel form of a section, known before its pixels are decoded.

    Attributes:
      remarks: what is unusual about the file although it can be read, and what to do about it; each a sentence without
        the name of the file, for a message.
      pixel_size_xy: length of a pixel along x and y, nm; None if the file does not give it. Dots per inch, which PNG
        and JPEG files give, say how large a picture is printed or shown, so they are not used.
      spacing: distance to the next section, nm; None if the file does not give it.
    """

    name: str
    height: int
    width: int
    form: Form
    remarks: tuple[str, ...] = ()
    pixel_size_xy: tuple[float, float] | None = None
    spacing: float | None = None


def form_of(dtype: np.dtype, samples: int = 1) -> Form:
    """Returns the form of pixels that have a NumPy type and this number of samples each."""
    if dtype.kind == "b":
        return Form(1, samples)
    return Form(dtype.itemsize * 8, samples, {"u": "unsigned", "i": "signed", "f": "float"}.get(dtype.kind, str(dtype)))


def opaque(pixels: np.ndarray, name: str) -> np.ndarray:
    """Removes the alpha channel of a section, if it has one.

    Args:
      pixels: (y, x) or (y, x, samples), with 2 (grey, alpha), 3 (R, G, B) or 4 (R, G, B, alpha) samples.
      name: name of the section, for messages.

    Returns:
      (y, x) or (y, x, 3).

    Raises:
      InputError: if a pixel is not opaque.
    """
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    alpha, opacity = pixels[..., -1], np.iinfo(pixels.dtype).max
    if (alpha != opacity).any():
        share = 100 * (alpha != opacity).mean()
        raise FileError(name, f"has transparent pixels ({share:.0f} % of them); save it without transparency")
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]


def damaged(where: str | Path) -> FileError:
    """The error for a file or page that cannot be decoded."""
    return FileError(where, "is truncated or damaged; copy it again from its source")
