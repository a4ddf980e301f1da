"""What the pages of a TIFF file are, by the descriptions of ImageJ, OME and others: sections, channels or times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

import tifffile

from floodrunner.stages.readers import ome
from floodrunner.stages.readers.forms import FileError
from floodrunner.stages.readers.tiff_page import CHANNELS
from floodrunner.stages.storage.words import some

_WRITERS = ("shaped", "stk", "fluoview", "nih")
"""Kinds of files, in tifffile's words, whose descriptions tell what their pages are."""

Axes = list[tuple[str, int]]
"""Letters and lengths of the axes of a file other than y, x and samples, without axes of length 1."""

_MOST_CHANNELS = 7
_OR_SECTIONS = "if they are sections, make them slices (Image > Hyperstacks > Re-order Hyperstack); otherwise, "
_NAMES = {"C": "channels", "T": "times", "P": "positions", "R": "tiles"}


class Meaning(NamedTuple):
    """What the pages of a file are.

    Attributes:
      sections: number of sections that the description speaks of; None if there is none.
      order: the pages in the order of their sections, from 0; None: the order in the file.
      remarks: as for `forms.Section`.
    """

    sections: int | None = None
    order: tuple[int, ...] | None = None
    remarks: tuple[str, ...] = ()


def meaning(file: Path, tiff: tifffile.TiffFile, pages: int, samples: int) -> Meaning:
    """Finds out what the pages of a file are.

    Args:
      file: the file, for messages.
      tiff: the file, opened without its OME description, for which tifffile would open other files.
      pages: number of pages.
      samples: number of samples of a pixel.

    Raises:
      InputError: if the file has channels, or both sections and times.
    """
    first = tiff.pages.first
    if first.is_ome:
        return _of_ome(file, first.description, pages)
    if first.is_scanimage and pages > 1:
        return Meaning(remarks=("ScanImage may have written several channels as pages; each is taken as a section",))
    if tiff.is_imagej:
        sizes = _imagej_sizes(tiff.imagej_metadata or {}, samples)
        _check(file, sizes, "ImageJ's C", _OR_SECTIONS)
        group = _group(sizes)
        return Meaning(group[0], remarks=_told([group], group[0], pages))
    if not any(getattr(tiff, f"is_{kind}") for kind in _WRITERS):
        return Meaning()
    try:
        series = [(each.axes, each.shape) for each in tiff.series if each.shape]
    except Exception:  # a description can be anything; then it says nothing, and the pages are what they are
        return Meaning(remarks=("what the file says about axes cannot be read; each page is taken as a section",))
    groups = []
    for axes, shape in series:
        lead = _lead(axes, shape, samples)
        _check(file, lead, "axis C")
        groups.append(_group(lead))
    sections = sum(count for count, _ in groups)
    return Meaning(sections, remarks=_told(groups, sections, pages))


def _group(sizes: Axes) -> tuple[int, str]:
    """Returns the number of pictures and the letters of their axes."""
    return math.prod(size for _, size in sizes), "".join(axis for axis, _ in sizes)


def _imagej_sizes(data: dict[str, Any], samples: int) -> Axes:
    """Returns letters and lengths of the axes of a hyperstack, without those of length 1."""
    numbers = {axis: data.get(key, 1) for axis, key in (("T", "frames"), ("Z", "slices"), ("C", "channels"))}
    sizes = {axis: number for axis, number in numbers.items() if isinstance(number, int) and number > 1}
    if sizes.get("C") == samples:
        del sizes["C"]  # Bio-Formats counts samples as channels
    images = data.get("images", 1)
    if not sizes and isinstance(images, int) and images > 1:
        return [("Z", images)]
    return list(sizes.items())


def _lead(axes: str, shape: Sequence[int], samples: int) -> Axes:
    """Returns letters and lengths of the axes other than y, x and samples, without axes of length 1."""
    lead = [(axis, size) for axis, size in zip(axes, shape, strict=True) if axis not in "YXS" and size > 1]
    if samples > 1 and "S" not in axes and lead and lead[-1][1] == samples:
        lead.pop()  # tifffile keeps the letter that the writer gave to the samples
    return [(axis if axis in ascii_uppercase else "?", size) for axis, size in lead]


def _check(file: Path, sizes: Axes, writer: str, hint: str = "") -> None:
    """Rejects channels, and more than one axis of pictures.

    Python programs write the sections of a stack as ImageJ's channels, if nobody tells them the axes; ImageJ itself
    shows no more than 7 channels.
    """
    channels = next((size for axis, size in sizes if axis == "C"), 0)
    if channels and (len(sizes) > 1 or channels <= _MOST_CHANNELS):
        raise FileError(file, f"holds {channels} channels ({writer}); {'' if len(sizes) > 1 else hint}{CHANNELS}")
    if len(sizes) > 1:
        lengths, letters = " x ".join(str(size) for _, size in sizes), "".join(axis for axis, _ in sizes)
        raise FileError(
            file,
            f"holds {lengths} pictures (axes {letters}); a stack has one axis of sections; save one channel and one "
            "time point of the file",
        )


def _told(groups: Sequence[tuple[int, str]], sections: int, pages: int) -> tuple[str, ...]:
    told = []
    counts = [count for count, _ in groups]
    if len(groups) > 1 and set(counts) != {1}:
        told.append(
            f"{sections} pages in {len(groups)} series of {_and(counts)}: all are taken as sections, in the order of "
            "the file"
        )
    told += _axis_told({axes for _, axes in groups})
    if pages > 1 and sections != pages:
        told.append(
            f"the description speaks of {sections} picture{'s' if sections > 1 else ''}, but there are {pages} pages: "
            "each page is taken as a section"
        )
    return tuple(told)


def _axis_told(letters: set[str]) -> list[str]:
    """Returns a remark if sections go by another name."""
    return [
        f"the axis {axis} ({_NAMES.get(axis, 'of unknown meaning')}) is taken as the axis of sections"
        for axis in sorted(letters - {"", "Z", "Q", "I"})
    ]


def _and(counts: Sequence[int]) -> str:
    return f"{', '.join(map(str, counts[:-1]))} and {counts[-1]}" if len(counts) <= 4 else some(map(str, counts))


def _of_ome(file: Path, description: str, pages: int) -> Meaning:
    planes = ome.planes(description, file.name, pages)
    if isinstance(planes, str):
        return Meaning(remarks=(planes,))
    if len(planes.images) > 1 and max(planes.images.values()) > 1:
        counts = _and(list(planes.images.values()))
        raise FileError(
            file,
            f"holds {len(planes.images)} OME images of {counts} pages ({some(planes.images)}); "
            "save the one to use as a file of its own",
        )
    sizes = [(axis, len(set(values))) for axis, values in planes.places.items() if len(set(values)) > 1]
    _check(file, sizes, "OME's C")
    remarks = list(planes.remarks)
    remarks += _axis_told({axis for axis, _ in sizes})
    if planes.elsewhere and pages > 1:
        there = {entry.name for entry in file.parent.iterdir()} - {file.name}
        beside = [name for name in planes.elsewhere if name in there]
        if beside:
            raise FileError(
                file,
                f"holds {pages} of {pages + planes.others} planes of an OME data set, whose others are in "
                f"{some(beside)}; open it in Fiji (Bio-Formats) and save all planes as one TIFF",
            )
    if planes.others:
        every, be = pages + planes.others, "are" if pages > 1 else "is"
        remarks.append(
            f"the OME description speaks of {every} planes, of which {pages} {be} here; the other files of the "
            "data set are not looked for"
        )
    return Meaning(planes.here, planes.order, tuple(remarks))
