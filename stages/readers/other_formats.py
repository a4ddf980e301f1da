"""Says what to do about files that are not read: other formats of images, files of microscopes, arrays, outlines."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from pathlib import Path
from typing import NamedTuple

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.words import some

TEXT = (".txt", ".csv", ".tsv", ".ini", ".log", ".json", ".xml", ".yaml", ".yml", ".md", ".hdr", ".info")
"""Suffixes of notes and settings that programs and people put beside sections."""

_FIJI = "in Fiji: File > Import > Image Sequence, then File > Save As > Image Sequence, format PNG"
_CONVERT = f"convert them to PNG or TIFF ({_FIJI})"

_BIO_FORMATS = "save them as TIFF (in Fiji: File > Import > Bio-Formats, then File > Save As > Tiff)"
_PICTURES = "images of another format; save them as PNG; in Fiji: Process > Batch > Convert"


class _Format(NamedTuple):
    """A format that is not read.

    Attributes:
      name: for messages about sections; empty if sections are not stored so, and nothing can be said about them.
      suffixes: of its files, separated by spaces.
      sections, pictures: what to do with such files among sections, and among pictures or masks.
    """

    name: str
    suffixes: str
    sections: str
    pictures: str


_FORMATS = (
    _Format(
        "JPEG",
        ".jpg .jpeg .jpe .jfif",
        "export the sections again as PNG or TIFF, because JPEG changes pixel values; if there is nothing else, "
        + _CONVERT,
        _PICTURES,
    ),
    _Format("BMP", ".bmp .dib", _CONVERT, _PICTURES),
    _Format("GIF", ".gif", _CONVERT, _PICTURES),
    _Format("PGM", ".pgm .pnm .ppm", _CONVERT, _PICTURES),
    _Format("WebP", ".webp", "convert them to PNG (with ImageMagick: magick mogrify -format png *.webp)", _PICTURES),
    _Format("HEIC", ".heic .heif", "convert them to PNG (with ImageMagick: magick mogrify -format png *)", _PICTURES),
    _Format("JPEG 2000", ".jp2 .j2k", _BIO_FORMATS, _PICTURES),
    _Format(
        "NumPy",
        ".npy .npz",
        "save them as TIFF (in Python: tifffile.imwrite('z000.tif', array))",
        "arrays of NumPy; in Cellpose, File > Save masks as PNG/tif writes the cells of a _seg.npy file",
    ),
    _Format(
        "MATLAB",
        ".mat",
        "save the sections in them with imwrite, as PNG or TIFF",
        "files of MATLAB; save the masks in them with imwrite, as PNG or TIFF",
    ),
    _Format(
        "HDF5",
        ".h5 .hdf5 .hdf",
        "name one file, not the folder: each is a stack",
        "an HDF5 file is named itself as the input, file.h5:dataset",
    ),
    _Format(
        "microscope",
        ".dm3 .dm4 .mrc .mrcs .rec .st .map .ser .emi .nd2 .czi .lif .lsm .oib .oif .vsi .ims .zvi .stk .ics .svs "
        ".ndpi .mrxs .dv .flex",
        _BIO_FORMATS,
        "files of a microscope; export TIFF files, with one channel or RGB; Fiji reads them with Bio-Formats",
    ),
    _Format(
        "",
        ".roi .zip",
        "",
        "if these are outlines of cells, make masks of them; in Fiji: ROI Manager > More > OR (Combine), then Edit > "
        "Selection > Create Mask, which joins cells that touch",
    ),
    _Format(
        "",
        ".json .geojson .xml .svg .txt",
        "",
        "if these are outlines of cells (COCO, LabelMe, QuPath, CVAT, YOLO), export them as masks: an image for each "
        "picture, with an id for each cell",
    ),
)

_MOST_FOLDERS = 1000

_ZARR = {".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"}


def refusal(folder: Path, others: Sequence[Path], count: int) -> str:
    """Makes the message about files that are not sections: one message for the format that most of them have.

    Args:
      folder: the folder.
      others: the files, at least one.
      count: number of all files in the folder.
    """
    formats: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for file in others:
        found = _format(file)
        formats[found.name, found.sections].append(file.name)
    (name, advice), files = max(formats.items(), key=lambda item: len(item[1]))
    if len(files) == 1 and (count > 1 or not name):
        return f"{files[0]} in {folder} is not a PNG or TIFF section; move it out of the folder"
    are = f"all {count} files" if len(files) == count > 1 else f"{len(files)} of {count} files"
    are += " are" if count > 1 else " is"
    if not name:
        return f"{folder}: {are} no PNG or TIFF sections ({some(files)}); move them out of the folder"
    out = "" if len(files) == count else "move them out of the folder, or "
    return f"{folder}: {are} {name} files ({some(files)}); {out}{advice}"


def refuse_others(folder: Path, others: Sequence[Path], count: int) -> None:
    """Refuses files that are not pictures, with one line that says what to do about them.

    Args:
      others: the files in the folder that are not pictures; none is refused if there is none.
      count: number of all files in the folder.

    Raises:
      InputError: if there are such files.
    """
    if not others:
        return
    suffix, number = Counter(file.suffix.lower() for file in others).most_common(1)[0]
    alike = [file for file in others if file.suffix.lower() == suffix]
    text = _format(alike[0]).pictures
    advice = f" ({text})" if text and (suffix, number) != (".txt", 1) else ""  # one text is a note
    if len(others) == 1:
        what = f"{others[0].name} in {folder} is not a PNG, TIFF or JPEG picture{advice}"
        raise InputError(f"{what}; move it out of the folder")
    every = f"all {count}" if len(others) == count else f"{len(others)} of {count}"
    kinds = f", {number} of them {suffix or 'without a suffix'}" if number < len(others) else ""
    what = "give PNG or TIFF files" if len(others) == count else "move them out of the folder"
    raise InputError(
        f"{folder}: {every} files are not PNG, TIFF or JPEG pictures{kinds}: {some(file.name for file in alike)}"
        f"{advice}; {what}"
    )


def advice(file: Path) -> str | None:
    """Says what to do with a file that was named as a stack; None if its suffix is not known."""
    name, _, text, _ = _format(file)
    return f"is a {name} file; {text.replace('them', 'it')}" if name and name not in ("JPEG", "HDF5") else None


def array_in(folder: Path, names: Set[str]) -> str | None:
    """Makes the message for a folder that is a Zarr array or group, or an N5 container; None for any other folder.

    Args:
      folder: the folder.
      names: names of all its entries, also of hidden ones: Zarr's metadata are hidden files.
    """
    suffix = "" if any(name.lower().endswith((".png", ".tif", ".tiff")) for name in names) else folder.suffix.lower()
    if names & _ZARR or suffix == ".zarr":
        kind, mark = "Zarr", min(names & _ZARR, default=folder.name)
    elif suffix == ".n5" or ("attributes.json" in names and _is_n5(folder)):
        kind, mark = "N5", "attributes.json" if "attributes.json" in names else folder.name
    else:
        return None
    what = f"{kind} data ({mark})"
    if not _holds_array(folder):
        return f"{folder}: is {what} without an array; save the data again, or name another folder"
    return (
        f"{folder}: is {what}, not a folder of images; save it as TIFF (in Fiji: File > Import > "
        "HDF5/N5/Zarr/OME-NGFF, then File > Save As > Tiff) or as an HDF5 dataset with the axes z, y, x"
    )


def _is_n5(folder: Path) -> bool:
    text = _text(folder / "attributes.json")
    return '"n5"' in text or '"dimensions"' in text


def _holds_array(folder: Path) -> bool:
    """Whether an array of Zarr (version 2 or 3) or N5 is in a folder, or in one below it.

    Looks into so many folders only, because an array may consist of millions of them; it lies in one of the first.
    """
    for looked_into, (at, _, files) in enumerate(os.walk(folder)):
        if looked_into == _MOST_FOLDERS or ".zarray" in files:
            return True
        if "zarr.json" in files and '"array"' in _text(Path(at, "zarr.json")):
            return True
        if "attributes.json" in files and '"dimensions"' in _text(Path(at, "attributes.json")):
            return True
    return False


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _format(file: Path) -> _Format:
    """Returns the format of a file by its suffix; one with empty texts if it is not known."""
    suffix = file.suffix.lower()
    return next((each for each in _FORMATS if suffix in each.suffixes.split()), _Format("", "", "", ""))
