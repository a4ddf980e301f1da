"""Finds pictures, which unlike sections may differ in size and form, and reads them one at a time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers import files as image_files
from floodrunner.stages.readers import tiff
from floodrunner.stages.readers.forms import Form, Section, opaque
from floodrunner.stages.readers.names import JPEG, SUFFIXES, TIFF, listed
from floodrunner.stages.readers.other_formats import TEXT, refuse_others
from floodrunner.stages.readers.stack import gathered
from floodrunner.stages.storage.names import natural_key, same_name
from floodrunner.stages.storage.words import some

PICTURE_SUFFIXES = (*SUFFIXES, *JPEG)

_SIGNED = Form(16, type="signed")
_PICTURE_FORMS = {Form(bits, samples) for bits in (8, 16) for samples in (1, 2, 3, 4)} | {
    Form(32, type="float"),
    _SIGNED,
}


class Source(NamedTuple):
    """A picture that can be read.

    Attributes:
      name: name of its file, as `bare_name` returns it; the mask of the picture is found by this name.
      where: file or section, for messages.
      head: function that returns size, form and remarks, without decoding the pixels.
      read: function that returns the pixels, (y, x) or (y, x, samples) as stored, and their form.
    """

    name: str
    where: str
    head: Callable[[], Section]
    read: Callable[[], tuple[np.ndarray, Form]]


@contextlib.contextmanager
def open_pictures(path: str, problem_of: Callable[[Form], str | None] | None = None) -> Iterator[list[Source]]:
    """Finds pictures: PNG, TIFF or JPEG files of any sizes in a folder, or the sections of a stack.

    A folder may also hold one folder for each picture, with the picture in `images/` inside it, like the data of the
    Data Science Bowl 2018. The sections of a stack in one file are named by their number, starting with 0000.

    Args:
      problem_of: returns why pixels of a form cannot be used, and what to do; None if they can. By default, pixels must
        be those of a picture that is not a mask.

    Raises:
      InputError: if there are no pictures, there are other files beside the pictures, or a picture cannot be used.
    """
    problem_of = problem_of or _no_picture
    folder = Path(path)
    if not folder.is_dir():
        with _sections_of(path) as found:
            yield found
        return
    files, folders = entries(folder)
    if not files and folders and all((each / "images").is_dir() for each in folders):
        names = [each.name for each in folders]
        yield sources(path, [_only_one(each) for each in folders], problem_of, names)
    elif not files:
        what = f"holds only folders ({some(each.name for each in folders)})" if folders else "is empty"
        raise InputError(f"{folder}: {what}, no PNG, TIFF or JPEG pictures; name the folder that holds them")
    elif len(files) == 1 and files[0].suffix.lower() in TIFF and tiff.pages(files[0]) > 1:
        with _sections_of(str(files[0])) as found:
            yield found
    else:
        yield sources(path, files, problem_of)


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Lists the pictures and the folders in a folder, both in the order of the numbers in their names.

    Files of text beside pictures are left out; `left_out` names them.

    Raises:
      InputError: like `listed`; also if a file is not a picture, or two pictures or two folders have the same name.
    """
    found = sorted(listed(folder), key=lambda entry: (natural_key(entry.stem), entry.name))
    every = [entry for entry in found if not entry.is_dir()]
    folders = [entry for entry in found if entry.is_dir()]
    files = [file for file in every if file.suffix.lower() in PICTURE_SUFFIXES]
    notes = TEXT if files else ()
    others = [file for file in every if file not in files and file.suffix.lower() not in notes]
    refuse_others(folder, others, len(every))
    for names in ({file: file.stem for file in files}, {each: each.name for each in folders}):
        first: dict[str, Path] = {}
        for entry, name in names.items():
            # Output files get these names, and on some disks A and a are the same file.
            other = first.setdefault(name_key(name), entry)
            if other is not entry:
                raise InputError(
                    f"{folder}: {other.name} and {entry.name} have the same name; rename or remove one of them"
                )
    return files, folders


def name_key(name: str) -> str:
    """Returns the form in which names of pictures are compared: without regard to upper case, to Unicode forms that
    look the same, and to `.ome` at the end."""
    return re.sub(r"\.ome$", "", same_name(name).casefold())


def bare_name(file: Path) -> str:
    """Returns the name of a file without its suffix, and without the `.ome` of OME-TIFF before it."""
    return re.sub(r"(?<=.)\.ome$", "", file.stem, flags=re.IGNORECASE)


def left_out(path: str) -> str | None:
    """Returns a message that names folders and files of text beside the pictures, which are not read; None if there are
    none."""
    files, folders = entries(Path(path)) if Path(path).is_dir() else ([], [])
    if not files:
        return None
    names = [each.name for each in folders]
    notes = sorted(each.name for each in listed(Path(path)) if not each.is_dir() and each.suffix.lower() in TEXT)
    kinds = ((names, "folder", "folders"), (notes, "file of text", "files of text"))
    counts = [f"{len(each)} {one if len(each) == 1 else many}" for each, one, many in kinds if each]
    if not counts:
        return None
    are = "is" if len(names) + len(notes) == 1 else "are"
    counted = " and ".join(counts)
    return f"{path}: {counted} beside the pictures {are} ignored: {some([*names, *notes])}"


def sources(
    path: str | Path,
    files: Sequence[Path],
    problem_of: Callable[[Form], str | None],
    names: Sequence[str] | None = None,
) -> list[Source]:
    """Makes the sources of pictures in files. They have the names of their files, unless `names` are given.

    Raises:
      InputError: if a file is no picture, or `problem_of` returns a problem; one message tells a problem of many files.
    """
    heads = image_files.heads(path, files, lambda head: problem_of(head.form))
    return [
        Source(
            name,
            str(file),
            lambda head=head: head,  # type: ignore[misc]
            lambda file=file, head=head: (image_files.read(file, head.form), head.form),  # type: ignore[misc]
        )
        for name, file, head in zip(names or [bare_name(file) for file in files], files, heads, strict=True)
    ]


def remarks(found: Sequence[Source]) -> tuple[str, ...]:
    """Returns what is unusual about pictures although they can be read; each one line for a message."""
    return gathered(list(dict.fromkeys(each.head() for each in found)))


def _no_picture(form: Form) -> str | None:
    if form.type == "inverted":
        return f"is {form}, stored with 0 as white; save it with 0 as black"
    if form not in _PICTURE_FORMS:
        return f"is {form}; save it as 8- or 16-bit grey or RGB"
    return None


def image_of(picture: Source) -> np.ndarray:
    """Reads the pixels of a picture that is not a mask.

    An opaque alpha channel is removed, and a picture whose colours are all grey becomes a grey picture. Signed 16-bit
    greys are stored 32768 higher, so that black stays the least grey.

    Returns:
      (y, x) or, if the picture has colours, (y, x, 3): uint8, uint16 or float32.

    Raises:
      InputError: if the picture is damaged, has transparent pixels, or has pixels of another type.
    """
    pixels, form = picture.read()
    if problem := _no_picture(form):
        raise InputError(f"{picture.where}: {problem}")
    if pixels.dtype.itemsize * 8 != form.bits:  # a PNG: Pillow reads 16-bit colours as 8-bit
        raise InputError(
            f"{picture.where}: is {form}, which can be read from TIFF only; save it as TIFF, or with 8 bits"
        )
    if form == _SIGNED:
        return (pixels.astype(np.int32) + 2**15).astype(np.uint16)
    if form.type == "float" and not np.isfinite(pixels).all():
        raise InputError(f"{picture.where}: has pixels that are not numbers (NaN or infinite); replace them")
    pixels = opaque(pixels, picture.where)
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def _only_one(folder: Path) -> Path:
    files, _ = entries(folder / "images")
    if len(files) != 1:
        raise InputError(f"{folder / 'images'}: holds {len(files)} pictures; it must hold one, that of the masks")
    return files[0]


@contextlib.contextmanager
def _sections_of(path: str) -> Iterator[list[Source]]:
    from floodrunner.stages.readers.sections import open_stack

    with open_stack(path) as stack:
        names = [bare_name(Path(file)) for file in stack.files or ()] or [f"{k:04d}" for k in range(stack.shape[0])]
        head = Section(path, *stack.shape[1:], stack.form, stack.remarks, stack.pixel_size_xy)
        yield [
            Source(name, where, lambda: head, lambda read=read: (read(), stack.form))  # type: ignore[misc]
            for name, where, read in zip(names, stack.names, stack.reads(), strict=True)
        ]
