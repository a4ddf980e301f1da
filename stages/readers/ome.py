"""Reads OME-XML, the description in OME-TIFF files: which plane each page is, and the voxel size."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple
from xml.etree import ElementTree

_UNREADABLE = "the OME description cannot be read; each page is taken as a section"
_AXES = "CZT"


class Planes(NamedTuple):
    """What the pages of one file are.

    Attributes:
      images: number of pages in this file of each OME image (a series, position or tile), by its name.
      places: for C (channel), Z (section) and T (time): the indices of the pages in this file.
      order: the pages, from 0, in the order of images, times and sections; None: the order in the file.
      here: number of planes that the description has for this file.
      others: number of planes that the description has in other files.
      elsewhere: names of those files.
      remarks: as for `forms.Section`.
    """

    images: dict[str, int]
    places: dict[str, list[int]]
    order: tuple[int, ...] | None
    here: int
    others: int
    elsewhere: tuple[str, ...]
    remarks: tuple[str, ...]


class _Plane(NamedTuple):
    image: int
    t: int
    z: int
    c: int


def planes(description: str, name: str, pages: int) -> Planes | str:
    """Finds out which planes the pages of a file are.

    Args:
      description: the OME-XML.
      name: name of the file.
      pages: number of pages of the file.

    Returns:
      The planes; or, if the description does not tell them, a remark for the user.

    Source: OME Data Model 2016-06, elements Pixels and TiffData; the OME-TIFF specification.
    """
    try:
        root = ElementTree.fromstring(description)
        if any(_is(element, "BinaryOnly") for element in root):
            return "the OME description is in another file, which is not read; each page is taken as a section"
        return _planes(root, name.casefold(), pages)
    except (ElementTree.ParseError, KeyError, ValueError, ZeroDivisionError):
        return _UNREADABLE


def _planes(root: ElementTree.Element, name: str, pages: int) -> Planes:
    found: dict[int, _Plane] = {}
    elsewhere: dict[str, None] = {}
    names: list[str] = []
    described = 0
    for image in (element for element in root if _is(element, "Image")):
        pixels = next(element for element in image if _is(element, "Pixels"))
        letters = [axis for axis in pixels.attrib["DimensionOrder"] if axis in _AXES]
        sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in letters}
        channel = next((element for element in pixels if _is(element, "Channel")), None)
        samples = int(channel.attrib.get("SamplesPerPixel", 1)) if channel is not None else 1
        sizes["C"] = max(1, sizes["C"] // samples)
        number = len(names)
        names.append(_words(image.attrib.get("Name", "")) or f"image {number}")
        described += math.prod(sizes.values())
        parts = [element for element in pixels if _is(element, "TiffData")] or [ElementTree.Element("TiffData")]
        for part in parts:
            uuid = next((element for element in part if _is(element, "UUID")), None)
            if uuid is not None and not _is_this_file(uuid, root, name):
                elsewhere[_words(uuid.attrib.get("FileName", "?"))] = None
                continue
            start = int(part.attrib.get("IFD", 0))
            default = part.attrib.get("NumPlanes", 1 if "IFD" in part.attrib else pages)
            count = int(part.attrib.get("PlaneCount", default))
            first = {axis: int(part.attrib.get(f"First{axis}", 0)) for axis in letters}
            if any(first[axis] >= sizes[axis] for axis in letters):
                continue  # ImageJ leaves planes in the description that it has cropped
            for page in range(max(start, 0), min(start + count, pages)):
                place = _place(letters, sizes, first, page - start)
                found[page] = _Plane(number, place["T"], place["Z"], place["C"])
    if not names:
        raise KeyError("Image")
    return _summed(found, names, pages, described, tuple(elsewhere))


def _summed(
    found: dict[int, _Plane], names: list[str], pages: int, described: int, elsewhere: tuple[str, ...]
) -> Planes:
    remarks = []
    order: tuple[int, ...] | None = tuple(sorted(found, key=lambda page: (found[page], page)))
    if len(found) < pages:
        order = None
        if pages > 1:
            missing = pages - len(found)
            remarks.append(f"the OME description lacks {missing} of {pages} pages; each page is taken as a section")
    elif order == tuple(range(pages)):
        order = None
    if not elsewhere and described > len(found):
        remarks.append(f"the OME description speaks of {described} planes, but there are {pages}")
    images = Counter(names[plane.image] for plane in found.values())
    if len(images) > 1:
        remarks.append(f"{len(images)} OME images of one page each are taken as sections")
    return Planes(
        dict(images),
        {axis.upper(): [getattr(plane, axis) for plane in found.values()] for axis in "czt"},
        order,
        len(found),
        described - len(found) if elsewhere else 0,
        elsewhere,
        tuple(remarks),
    )


def _words(text: str) -> str:
    """Returns the first characters of a text, without those that would break a message."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:200])


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


def _is_this_file(uuid: ElementTree.Element, root: ElementTree.Element, name: str) -> bool:
    own = root.attrib.get("UUID")
    return uuid.text == own if own and uuid.text else uuid.attrib.get("FileName", "").casefold() == name


def _place(letters: list[str], sizes: dict[str, int], first: dict[str, int], ahead: int) -> dict[str, int]:
    """Returns the indices of the plane that comes `ahead` planes after the first; the axes vary as `letters` are."""
    index, step = ahead, 1
    for axis in letters:
        index += first[axis] * step
        step *= sizes[axis]
    place = {}
    for axis in letters:
        index, place[axis] = divmod(index, sizes[axis])
    return place


def sizes(description: str) -> dict[str, tuple[str, str]]:
    """Returns the physical sizes of the first image as written, with their units; {} if there are none.

    Returns:
      For x, y and z, if given: the number and its unit, both as text; the unit is µm where none is given.
    """
    try:
        root = ElementTree.fromstring(description)
    except ElementTree.ParseError:
        return {}
    pixels = next((element for element in root.iter() if _is(element, "Pixels")), None)
    if pixels is None:
        return {}
    return {
        axis.lower(): (pixels.attrib[f"PhysicalSize{axis}"], pixels.attrib.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "XYZ"
        if f"PhysicalSize{axis}" in pixels.attrib
    }
