"""Says what to do about formats that are not read as sections: JPEG, BMP, files of microscopes, arrays, Zarr."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from pathlib import Path

from stages.storage.words import some

TEXT = (".txt", ".csv", ".tsv", ".ini", ".log", ".json", ".xml", ".yaml", ".yml", ".md", ".hdr", ".info")
"""Suffixes of notes and settings that programs and people put beside sections."""

_FIJI = "in Fiji: File > Import > Image Sequence, then File > Save As > Image Sequence, format PNG"
_CONVERT = f"convert them to PNG or TIFF ({_FIJI})"

_FORMATS = (
    (
        "JPEG",
        ".jpg .jpeg .jpe .jfif",
        "export the sections again as PNG or TIFF, because JPEG changes pixel values; if there is nothing else, "
        + _CONVERT,
    ),
    ("BMP", ".bmp .dib", _CONVERT),
    ("GIF", ".gif", _CONVERT),
    ("PGM", ".pgm .pnm .ppm", _CONVERT),
    ("WebP", ".webp", "convert them to PNG (with ImageMagick: magick mogrify -format png *.webp)"),
    ("NumPy", ".npy .npz", "save them as TIFF (in Python: tifffile.imwrite('z000.tif', array))"),
    ("HDF5", ".h5 .hdf5 .hdf", "name one file, not the folder: each is a stack"),
    (
        "microscope",
        ".dm3 .dm4 .mrc .mrcs .rec .st .map .ser .emi .nd2 .czi .lif .lsm .oib .oif .vsi .ims .zvi .stk .ics .jp2",
        "save them as TIFF (in Fiji: File > Import > Bio-Formats, then File > Save As > Tiff)",
    ),
)
"""Name of a format, its suffixes, and what to do with files of it."""

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
        formats[_format(file)].append(file.name)
    (name, advice), files = max(formats.items(), key=lambda item: len(item[1]))
    if len(files) == 1 and (count > 1 or not name):
        return f"{files[0]} in {folder} is not a PNG or TIFF section; move it out of the folder"
    are = f"all {count} files" if len(files) == count > 1 else f"{len(files)} of {count} files"
    are += " are" if count > 1 else " is"
    if not name:
        return f"{folder}: {are} no PNG or TIFF sections ({some(files)}); move them out of the folder"
    out = "" if len(files) == count else "move them out of the folder, or "
    return f"{folder}: {are} {name} files ({some(files)}); {out}{advice}"


def advice(file: Path) -> str | None:
    """Says what to do with a file that was named as a stack; None if its suffix is not known."""
    name, text = _format(file)
    return f"is a {name} file; {text.replace('them', 'it')}" if name and name not in ("JPEG", "HDF5") else None


def array_in(folder: Path, names: Set[str]) -> str | None:
    """Makes the message for a folder that is a Zarr array or group, or an N5 container; None for any other folder.

    Args:
      folder: the folder.
      names: names of all its entries, also of hidden ones: Zarr's metadata are hidden files.
    """
    suffix = "" if any(name.lower().endswith((".png", ".tif", ".tiff")) for name in names) else folder.suffix.lower()
    if names & _ZARR or suffix == ".zarr":
        what = f"Zarr data ({min(names & _ZARR, default=folder.name)})"
    elif suffix == ".n5" or ("attributes.json" in names and _is_n5(folder)):
        what = "N5 data (attributes.json)"
    else:
        return None
    return (
        f"{folder}: is {what}, not a folder of images; save it as TIFF (in Fiji: File > Import > "
        "HDF5/N5/Zarr/OME-NGFF, then File > Save As > Tiff) or as an HDF5 dataset with the axes z, y, x"
    )


def _is_n5(folder: Path) -> bool:
    try:
        text = (folder / "attributes.json").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return '"n5"' in text or '"dimensions"' in text


def _format(file: Path) -> tuple[str, str]:
    """Returns the name of a file's format, and what to do with such files; two empty texts if it is not known."""
    suffix = file.suffix.lower()
    return next(((name, text) for name, suffixes, text in _FORMATS if suffix in suffixes.split()), ("", ""))
