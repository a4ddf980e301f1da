"""A user's pictures, which are not sections of one stack: found, named, and read one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from contract.stage import InputError
from stages.readers import files as picture_files
from stages.readers import tiff
from stages.readers.forms import Form, opaque
from stages.readers.jpeg import JPEG
from stages.readers.names import SUFFIXES, listed
from stages.storage.names import natural_key, some

PICTURE_SUFFIXES = (*SUFFIXES, *JPEG)


class Source(NamedTuple):
    """A picture that can be read.

    Attributes:
      name: of its file, without suffix; what its mask is found by.
      where: what to call it in a message.
      read: gives its pixels, (y, x) or (y, x, samples) as stored, and their form.
    """

    name: str
    where: str
    read: Callable[[], tuple[np.ndarray, Form]]


@contextlib.contextmanager
def open_pictures(path: str) -> Iterator[list[Source]]:
    """Finds pictures: a folder of PNG, TIFF or JPEG files of any sizes, or a stack, whose sections are the pictures.

    A folder may also hold a folder for each picture, with the picture in `images/`, as the Data Science Bowl 2018 is
    kept. The sections of a stack that is one file are named by their number, from 0000.

    Raises:
      InputError: if there are none, or something else is among them.
    """
    folder = Path(path)
    if not folder.is_dir():
        with _sections_of(path) as sources:
            yield sources
        return
    files, folders = entries(folder)
    if not files and folders and all((each / "images").is_dir() for each in folders):
        yield [_only_one(each) for each in folders]
    elif not files:
        what = f"holds folders only ({some(each.name for each in folders)})" if folders else "is empty"
        raise InputError(f"{folder}: {what}, no PNG, TIFF or JPEG pictures; name the folder that holds them")
    elif len(files) == 1 and files[0].suffix.lower() in SUFFIXES[1:] and tiff.pages(files[0]) > 1:
        with _sections_of(str(files[0])) as sources:
            yield sources
    else:
        yield [source(file) for file in files]


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures and the folders in a folder, each in the order of the numbers in their names.

    Raises:
      InputError: as `listed`; if there is a file that is no picture, or two pictures or two folders have one name.
    """
    found = sorted(listed(folder), key=lambda entry: (natural_key(entry.stem), entry.name))
    files = [entry for entry in found if not entry.is_dir()]
    folders = [entry for entry in found if entry.is_dir()]
    for file in files:
        if file.suffix.lower() not in PICTURE_SUFFIXES:
            raise InputError(f"{file.name} in {folder} is not a PNG, TIFF or JPEG picture; move it out of the folder")
    for names in ({file: file.stem for file in files}, {each: each.name for each in folders}):
        first: dict[str, Path] = {}
        for entry, name in names.items():
            # What comes out is named after them, maybe on a disk for which A and a are one.
            other = first.setdefault(name.casefold(), entry)
            if other is not entry:
                raise InputError(f"{folder}: {other.name} and {entry.name} have one name; rename or remove one of them")
    return files, folders


def left_out(path: str) -> str | None:
    """What `open_pictures` passes over: a line for the user about folders that lie beside pictures. None if none do."""
    files, folders = entries(Path(path)) if Path(path).is_dir() else ([], [])
    if not files or not folders:
        return None
    what, are = ("folder", "is") if len(folders) == 1 else ("folders", "are")
    return f"{path}: {len(folders)} {what} beside the pictures {are} left out: {some(each.name for each in folders)}"


def source(file: Path, name: str | None = None) -> Source:
    """A picture that is a file; named by it, if not otherwise."""

    def read() -> tuple[np.ndarray, Form]:
        form = picture_files.head(file).form
        return picture_files.pixels(file, form), form

    return Source(name or file.stem, str(file), read)


def image_of(picture: Source) -> np.ndarray:
    """Reads a picture that is an image: (y, x), or (y, x, 3) where it has colours; uint8, uint16 or float32.

    Colours that are all greys become grey, and an opaque alpha channel is left out.

    Raises:
      InputError: if it is damaged, or its pixels are of another kind.
    """
    pixels, form = picture.read()
    if form.type == "inverted":
        raise InputError(f"{picture.where}: is {form}, stored with 0 as white; save it with 0 as black")
    if form not in [Form(bits, samples) for bits in (8, 16) for samples in (1, 2, 3, 4)] + [Form(32, type="float")]:
        raise InputError(f"{picture.where}: is {form}; save it as 8- or 16-bit grey or RGB")
    if pixels.dtype.itemsize * 8 != form.bits:  # Pillow knows 16 bits in grey only
        raise InputError(f"{picture.where}: {form} cannot be read from this kind of file; save it as TIFF, or as 8-bit")
    if form.type == "float" and not np.isfinite(pixels).all():
        raise InputError(f"{picture.where}: has pixels that are no numbers (NaN or infinite); replace them")
    pixels = opaque(pixels, picture.where)
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def _only_one(folder: Path) -> Source:
    files, _ = entries(folder / "images")
    if len(files) != 1:
        raise InputError(f"{folder / 'images'}: holds {len(files)} pictures; there must be one, whose cells are masked")
    return source(files[0], folder.name)


@contextlib.contextmanager
def _sections_of(path: str) -> Iterator[list[Source]]:
    from stages.readers.sections import open_stack

    with open_stack(path) as stack:
        names = [Path(file).stem for file in stack.files or ()] or [f"{k:04d}" for k in range(stack.shape[0])]
        yield [
            Source(name, where, lambda read=read: (read(), stack.form))  # type: ignore[misc]
            for name, where, read in zip(names, stack.names, stack.reads(), strict=True)
        ]
