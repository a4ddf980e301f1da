"""Reads and writes one image file: PNG, JPEG, or a TIFF of one page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers import jpeg, png, tiff, tiff_write
from floodrunner.stages.readers.forms import FileError, Form, Section
from floodrunner.stages.readers.names import JPEG, PNG, TIFF
from floodrunner.stages.readers.pillow import Image
from floodrunner.stages.storage.words import some


def head(file: Path) -> Section:
    """Reads size and pixel form of an image file, without decoding the pixels. The suffix of its name tells the format.

    Raises:
      InputError: if the file is damaged, has another format than its suffix says, or is a TIFF of several pages.
    """
    head_of, _ = _format(file)
    return head_of(file)


def heads(
    path: str | Path, files: Sequence[Path], problem_of: Callable[[Section], str | None] | None = None
) -> list[Section]:
    """Reads the heads of all files of a folder, in their order.

    Args:
      path: the folder as the user wrote it, for messages.
      files: its files; each head is read once.
      problem_of: returns why a file that can be read cannot be used, and what to do; None if it can.

    Raises:
      InputError: like `head`, and if a file cannot be used. If several files have the same problem, one message tells
        it, and how many files have it. Of several problems, the message tells the one that most files have.
    """
    found: list[Section] = []
    wrong: defaultdict[str, list[FileError]] = defaultdict(list)
    for file in files:
        try:
            found.append(head(file))
            if problem_of is not None and (problem := problem_of(found[-1])):
                raise FileError(file, problem)
        except FileError as error:
            wrong[error.problem].append(error)
    if not wrong:
        return found
    first, *others = max(wrong.values(), key=len)
    if not others:
        raise first
    names = [Path(error.file).name for error in others]
    alike = f"{len(others)} more of the {len(files)} files: {some(names)}"
    if len(others) + 1 == len(files):
        alike = f"all {len(files)} files"
    raise InputError(f"{path}: {Path(first.file).name} {first.problem} (the same for {alike})")


def read(file: Path, form: Form) -> np.ndarray:
    """Decodes an image file.

    Args:
      form: the pixel form that `head` returned for this file.

    Returns:
      (y, x) or (y, x, samples), the values as stored, turned by the orientation of the file as viewers show it, so that
      the size is the one of the head. Only a PNG with 16-bit colours is different: Pillow returns the
      upper 8 bits, so the array is uint8 although `form` has 16 bits.

    Raises:
      InputError: if the file is truncated or damaged.
    """
    _, pixels_of = _format(file)
    return pixels_of(file, form)


def write(
    file: Path, pixels: np.ndarray, compress_level: int = 6, voxel_size_xyz: Sequence[float] | None = None
) -> None:
    """Writes a PNG or, if the suffix is `.tif`, a TIFF compressed with zlib.

    Args:
      file: an existing file is replaced.
      pixels: (y, x) or (y, x, 3). PNG takes uint8, and uint16 if it is grey; TIFF takes any integer type.
      compress_level: compression level of a PNG, 1 (fast) to 9 (small).
      voxel_size_xyz: as for `tiff_write.write_page`. A PNG has no place for it: its pHYs chunk is for printers.

    Raises:
      OSError: if the file cannot be written.
    """
    if file.suffix != ".png":
        tiff_write.write_page(file, pixels, voxel_size_xyz)
        return
    Image.fromarray(pixels).save(file, compress_level=compress_level)


_FORMATS = (
    (PNG, png.head, png.pixels),
    (TIFF, tiff.single_page, tiff.page_pixels),
    (JPEG, jpeg.head, jpeg.pixels),
)
"""For each format: its suffixes, and the functions that read the head and the pixels of its files."""


def _format(file: Path) -> tuple[Callable[[Path], Section], Callable[[Path, Form], np.ndarray]]:
    return next((head_of, pixels_of) for suffixes, head_of, pixels_of in _FORMATS if file.suffix.lower() in suffixes)
