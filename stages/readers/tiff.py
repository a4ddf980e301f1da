"""Reads TIFF files: one section, or stacks of sections in one file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from floodrunner.segmentation.threads import processors
from floodrunner.stages.readers import forms, tiff_scale
from floodrunner.stages.readers.forms import FileError, Form, Section
from floodrunner.stages.readers.stack import Read, Stack, uniform
from floodrunner.stages.readers.tiff_chain import Chain, chain
from floodrunner.stages.readers.tiff_meaning import Meaning, meaning
from floodrunner.stages.readers.tiff_page import Page, Plain, look
from floodrunner.stages.readers.tiff_pixels import finished
from floodrunner.stages.readers.tiff_pixels import pixels as pixels_of
from floodrunner.stages.readers.tiff_scale import Scale
from floodrunner.stages.storage.words import some

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it only logs is checked here
_AS_IT_IS = {f"is_{kind}": False for kind in ("ome", "mmstack", "ndtiff", "lsm", "scanimage", "ndpi")}
_MOST_LEVELS = 20  # a picture and its smaller copies are fewer pages
_SOUND = "in Fiji: File > Save As > Tiff writes a sound file"


class _Contents(NamedTuple):
    """What is in a TIFF file.

    Attributes:
      pages: the pages that are sections, in the order of the sections.
      sections: number of sections: the pages, or those that are one after the other in the only page.
      broken: the chain of pages breaks; what was found there.
      remarks: as for `Section`.
      scale: lengths of the pixels as they are read, and the distance of sections.
    """

    pages: list[Page]
    sections: int
    broken: str | None
    remarks: tuple[str, ...]
    scale: Scale


@contextlib.contextmanager
def _open(file: Path) -> Iterator[tuple[tifffile.TiffFile, Chain]]:
    """Opens a TIFF file, so that tifffile reads its pages as they are.

    Left to itself, tifffile also opens the other files of a data set, or reckons where pages of a program should be.
    """
    found = chain(file)
    try:
        tiff = tifffile.TiffFile(file, _multifile=False, **_AS_IT_IS)  # type: ignore[arg-type]
    except MemoryError:
        raise
    except Exception as error:  # for a damaged file tifffile may raise almost anything
        raise forms.damaged(file) from error
    with tiff:
        yield tiff, found


def _page(tiff: tifffile.TiffFile, number: int) -> tifffile.TiffPage:
    page = tiff.pages.get(number, aspage=True)
    assert isinstance(page, tifffile.TiffPage)
    return page


def pages(file: Path) -> int:
    """Returns the number of sections in a TIFF file. Above 4 GB, ImageJ writes all sections into one page.

    A file of very many pages is not looked at more closely: smaller copies of its sections count, too.

    Raises:
      InputError: as for `open_tiff`.
    """
    with _open(file) as (tiff, found):
        if len(found.tags) > _MOST_LEVELS:
            return len(found.tags)
        contents = _contents(file, tiff, found)
        _refuse_broken(file, contents)
        return contents.sections


def single_page(file: Path) -> Section:
    """Reads the size and pixel form of a TIFF file of one section.

    Raises:
      InputError: if the file is damaged, or has more than one page.
    """
    with _open(file) as (tiff, found):
        contents = _contents(file, tiff, found)
        if contents.sections > 1 or len(contents.pages) > 1:
            raise FileError(
                file,
                f"holds {contents.sections} pages, and each file in a folder holds one; "
                "name it alone as the stack, move it out of the folder, or save each page as a file",
            )
        page, remarks = contents.pages[0], contents.remarks
        if contents.broken:
            remarks += (f"{contents.broken}; only that page is read; {_SOUND}",)
        scale = contents.scale
        return Section(file.name, page.height, page.width, page.form, remarks, scale.xy, scale.z)


def page_pixels(file: Path, form: Form) -> np.ndarray:
    """Decodes a TIFF file of one section.

    Args:
      form: the pixel form that `single_page` returned.

    Returns:
      (y, x) or (y, x, samples): the values as stored, turned by the orientation of the page.

    Raises:
      InputError: if the page is truncated or damaged, or its compression is not supported.
    """
    with _open(file) as (tiff, found):
        known = _contents(file, tiff, found).pages[0]
        return pixels_of(str(file), _page(tiff, known.number), known)


@contextlib.contextmanager
def open_tiff(file: Path) -> Iterator[Stack]:
    """Opens a TIFF file of many sections: all its pages, however they are grouped.

    Raises:
      InputError: if the file is damaged, its pages differ in size or form, or it also has channels or time points.
    """
    with _open(file) as (tiff, found):
        contents = _contents(file, tiff, found)
        _refuse_broken(file, contents)
        yield _stack(file, tiff, contents)


def _refuse_broken(file: Path, contents: _Contents) -> None:
    if contents.broken:
        again = f"copy it again from its source ({contents.broken})"
        raise FileError(file, f"is truncated or damaged; {again}; {_SOUND} of the pages that are left")


def _contents(file: Path, tiff: tifffile.TiffFile, found: Chain) -> _Contents:
    try:
        signed, remarks = tiff_scale.calibration(tiff)
        scale = tiff_scale.scale_of(tiff)
        looks = []
        for number, tags in enumerate(found.tags):
            where = file if len(found.tags) == 1 else f"{file} page {number + 1}"
            looks.append(look(where, _page(tiff, number), tags, found.size, signed))
    except (MemoryError, FileError):
        raise
    except Exception as error:  # for a damaged file tifffile may raise almost anything
        raise forms.damaged(file) from error
    kept = _without_copies(looks)
    if len(kept) < len(looks):
        left = [str(page.number + 1) for page in looks if page not in kept]
        remarks += (f"{len(left)} smaller copies of sections are left out (page {some(left)})",)
    if len(kept) > 1:
        _refuse_turns(file, kept)
        uniform(str(file), [Section(f"page {page.number + 1}", page.height, page.width, page.form) for page in kept])
    said = meaning(file, tiff, len(kept), kept[0].form.samples) if len(kept) == len(looks) else Meaning()
    if said.order and len(said.order) == len(kept):
        kept = [kept[number] for number in said.order]
    sections = _sections(file, kept, said, found)
    complete = len(kept) > 1 and said.sections == len(kept)
    if found.broken and complete:
        remarks += (f"{found.broken}; the description speaks of {len(kept)} pages, which are all there",)
    return _Contents(
        kept,
        sections,
        None if complete or (found.broken is None) else found.broken,
        remarks + said.remarks + _shared(kept),
        scale.turned(kept[0].orientation),
    )


def _without_copies(looks: list[Page]) -> list[Page]:
    """Leaves out thumbnails and the smaller levels of a pyramid, if the file calls them so."""
    whole = [page for page in looks if not page.reduced] or looks[:1]
    largest = max(page.height * page.width for page in whole)
    return [page for page in looks if page in whole or page.height * page.width >= largest]


def _refuse_turns(file: Path, kept: list[Page]) -> None:
    """Refuses pages of different orientations. Programs that write the tag on page 1 only may mean all pages."""
    first = kept[0]
    other = next((page for page in kept if page.orientation != first.orientation), None)
    if other is not None:
        raise FileError(
            file,
            f"the orientation tag (274; 1 if there is none) is {first.orientation} on page {first.number + 1}, but "
            f"{other.orientation} on page {other.number + 1}, so sections would not lie on each other; in Fiji, which "
            "ignores the tag, File > Save As > Tiff writes them without it",
        )


def _sections(file: Path, kept: list[Page], said: Meaning, found: Chain) -> int:
    """Returns the number of sections. One page may hold many, one after the other, as ImageJ and MetaMorph write them.

    Raises:
      InputError: if the file ends amid the sections.
    """
    count, page = said.sections or 1, kept[0]
    if len(kept) > 1 or page.plain is None or found.broken:
        return len(kept)
    room = (found.size - page.plain.start) // page.plain.size
    if room < 2 or count == 1:  # the description may be that of a stack from which this page was taken
        return 1
    if room < count:
        raise forms.damaged(file)
    return count


def _shared(kept: list[Page]) -> tuple[str, ...]:
    """Returns the remarks about pages, each once; those about some pages only say about which."""
    numbers: dict[str, list[str]] = {}
    for page in kept:
        for remark in page.remarks:
            numbers.setdefault(remark, []).append(str(page.number + 1))
    return tuple(
        remark if len(which) == len(kept) else f"page {some(which)}: {remark}" for remark, which in numbers.items()
    )


def _stack(file: Path, tiff: tifffile.TiffFile, contents: _Contents) -> Stack:
    pages, count = contents.pages, contents.sections
    head = pages[0]
    names = tuple(f"{file} page {k}" for k in range(1, count + 1))
    scale = contents.scale
    if all(page.plain is not None for page in pages):
        reads = _mapped(file, pages, count)
        threads = min(processors(), 4)
    else:

        def reads() -> Iterator[Read]:
            for page, name in zip(pages, names, strict=True):
                yield lambda page=page, name=name: pixels_of(name, _page(tiff, page.number), page)  # type: ignore[misc]

        threads = 1  # all pages are read through one file handle

    return Stack(
        str(file),
        (count, head.height, head.width),
        head.form,
        names,
        files=None,
        voxel_size_xyz=scale.voxel_size,
        pixel_size_xy=scale.xy,
        offset_xyz=(0, 0, 0),
        reads=reads,
        threads=threads,
        remarks=tuple(f"{file.name}: {remark}" for remark in contents.remarks + scale.remarks),
    )


def _mapped(file: Path, pages: list[Page], count: int) -> Callable[[], Iterator[Read]]:
    """Reads, by memory map, sections that are stored uncompressed, each row after row."""
    stored = np.memmap(file, np.uint8, "r")

    def read(page: Page, plain: Plain, ahead: int) -> np.ndarray:
        start = plain.start + ahead * plain.size
        return finished(np.array(stored[start : start + plain.size]).view(plain.dtype).reshape(plain.shape), page)

    each = count // len(pages)  # sections in a page
    return lambda: (
        lambda page=page, plain=page.plain, ahead=ahead: read(page, plain, ahead)  # type: ignore[misc]
        for page in pages
        for ahead in range(each)
    )
