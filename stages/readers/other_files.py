"""Says what to export in place of files that hold pictures or cells in a form that is not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from contract.stage import InputError
from stages.storage.words import some

_ADVICE = {
    (".npy", ".npz"): "arrays of NumPy; in Cellpose, File > Save masks as PNG/tif writes the cells of a _seg.npy file",
    (".roi", ".zip"): "if these are outlines of cells, make masks of them; in Fiji: ROI Manager > More > OR (Combine), "
    "then Edit > Selection > Create Mask, which joins cells that touch",
    (
        ".json",
        ".geojson",
        ".xml",
        ".svg",
        ".txt",
    ): "if these are outlines of cells (COCO, LabelMe, QuPath, CVAT, YOLO), "
    "export them as masks: an image for each picture, with an id for each cell",
    (".mat",): "files of MATLAB; save the masks in them with imwrite, as PNG or TIFF",
    (
        ".bmp",
        ".gif",
        ".webp",
        ".jp2",
        ".heic",
    ): "images of another format; save them as PNG; in Fiji: Process > Batch > Convert",
    (
        ".czi",
        ".nd2",
        ".lif",
        ".oib",
        ".oif",
        ".vsi",
        ".lsm",
        ".ims",
        ".svs",
        ".ndpi",
        ".mrxs",
        ".dv",
        ".stk",
        ".flex",
    ): ("files of a microscope; export TIFF files, with one channel or RGB; Fiji reads them with Bio-Formats"),
    (".h5", ".hdf5"): "an HDF5 file is named itself as the input, file.h5:dataset",
}


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
    advice = next((f" ({text})" for suffixes, text in _ADVICE.items() if suffix in suffixes), "")
    if suffix == ".txt" and number == 1:
        advice = ""  # a note
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
