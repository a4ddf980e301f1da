"""Follows the chain of directories in a TIFF file: which pages there are, and whether the chain ends as it should.

The library tifffile reads as far as it can, and only logs that pages or tags are missing.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from floodrunner.stages.readers.forms import FileError, damaged
from floodrunner.stages.storage.words import no_permission

_MOST_TAGS = 4096  # no program writes as many, so these bytes are no directory
_WIDTH, _HEIGHT = 256, 257


class Chain(NamedTuple):
    """The pages of a TIFF file.

    Attributes:
      tags: for each page, the numbers of all tags in its directory, whether their values can be read or not.
      broken: what follows the last page, if it is neither a page nor the end of the chain; otherwise None.
      size: size of the file in bytes.
    """

    tags: tuple[frozenset[int], ...]
    broken: str | None
    size: int


class _Layout(NamedTuple):
    """How numbers are stored: formats of `struct` for the number of tags and for an offset, and bytes of an entry."""

    number: str
    offset: str
    entry: int


def chain(file: Path) -> Chain:
    """Reads the directories of all pages of a TIFF file, but not the values of their tags.

    Raises:
      InputError: if the file may not be read, is not a TIFF file, or has no page.

    Source: TIFF Revision 6.0 (Adobe, 1992), section 2; BigTIFF by its design page at awaresystems.be.
    """
    try:
        with open(file, "rb") as opened:
            size = file.stat().st_size
            layout, offset = _head(file, opened)
            return _follow(file, opened, layout, offset, size)
    except PermissionError:
        raise no_permission(file) from None
    except IsADirectoryError:
        raise FileError(file, "is a folder; move it out, or name it as the stack") from None


def _head(file: Path, opened: BinaryIO) -> tuple[_Layout, int]:
    head = opened.read(16)
    if not head:
        raise FileError(file, "is empty; copy it again from its source")
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 4 else None
    if version not in (42, 43):
        raise FileError(file, "is not a TIFF file, although its name says so; save it as TIFF, or copy it again")
    layout = _Layout(f"{order}H", f"{order}I", 12) if version == 42 else _Layout(f"{order}Q", f"{order}Q", 20)
    start = 4 if version == 42 else 8
    width = struct.calcsize(layout.offset)
    if len(head) < start + width:
        raise damaged(file)
    return layout, struct.unpack(layout.offset, head[start : start + width])[0]


def _follow(file: Path, opened: BinaryIO, layout: _Layout, offset: int, size: int) -> Chain:
    tags: list[frozenset[int]] = []
    seen: dict[int, int] = {}
    broken = None
    while offset:
        if offset in seen:
            broken = f"the chain of pages leads from page {len(tags)} back to page {seen[offset]}"
            break
        found = _directory(opened, layout, offset) if offset < size else None
        if found is None:
            broken = f"after page {len(tags)} the chain of pages leads to where there is no page"
            break
        codes, following = found
        if not codes:
            break  # some microscopes end the chain with an empty directory
        tags.append(codes)
        seen[offset] = len(tags)
        if following is None:
            broken = f"it ends in the middle of page {len(tags)}"
            break
        offset = following
    if not tags:
        raise damaged(file)
    return Chain(tuple(tags), broken, size)


def _directory(opened: BinaryIO, layout: _Layout, offset: int) -> tuple[frozenset[int], int | None] | None:
    """Returns the tags at an offset and the offset of the next directory; None if no page is there."""
    opened.seek(offset)
    width = struct.calcsize(layout.number)
    start = opened.read(width)
    if len(start) < width:
        return None
    (count,) = struct.unpack(layout.number, start)
    if count > _MOST_TAGS:
        return None
    entries = opened.read(count * layout.entry)
    if len(entries) < count * layout.entry:
        return None
    order = layout.number[0]
    codes = frozenset(struct.unpack_from(f"{order}H", entries, at)[0] for at in range(0, len(entries), layout.entry))
    end = opened.read(struct.calcsize(layout.offset))
    following = struct.unpack(layout.offset, end)[0] if len(end) == struct.calcsize(layout.offset) else None
    if following if not codes else not {_WIDTH, _HEIGHT} <= codes:
        return None
    return codes, following
