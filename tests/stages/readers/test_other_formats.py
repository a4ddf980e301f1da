"""Folders of files that are not read as sections: one line that is right for all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.sections import open_stack


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught, open_stack(str(path)):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files(folder: Path, suffix: str, count: int = 4, stem: str = "z{:03d}") -> Path:
    folder.mkdir(exist_ok=True)
    for z in range(count):
        file = folder / (stem.format(z) + suffix)
        if suffix in (".npy", ".mrc", ".nd2", ".dm3", ".h5", ".svs", ".mat"):
            file.write_bytes(b"x")
        else:
            Image.fromarray(np.zeros((8, 12), np.uint8)).save(file)
    return folder


@pytest.mark.parametrize(
    ("suffix", "kind", "advice"),
    [
        (".jpg", "JPEG", "export the sections again as PNG or TIFF, because JPEG changes pixel values; if there is"),
        (".bmp", "BMP", "convert them to PNG or TIFF (in Fiji: File > Import > Image Sequence, then File > Save As"),
        (".gif", "GIF", "convert them to PNG or TIFF (in Fiji: File > Import > Image Sequence"),
        (".webp", "WebP", "convert them to PNG (with ImageMagick: magick mogrify -format png *.webp)"),
        (".dm3", "microscope", "save them as TIFF (in Fiji: File > Import > Bio-Formats, then File > Save As > Tiff)"),
        (".mrc", "microscope", "save them as TIFF (in Fiji: File > Import > Bio-Formats"),
        (".svs", "microscope", "save them as TIFF (in Fiji: File > Import > Bio-Formats"),
        (".mat", "MATLAB", "save the sections in them with imwrite, as PNG or TIFF"),
        (".npy", "NumPy", "save them as TIFF (in Python: tifffile.imwrite('z000.tif', array))"),
        (".h5", "HDF5", "name one file, not the folder: each is a stack"),
    ],
)
def test_where_all_files_are_so_the_advice_is_for_all(tmp_path: Path, suffix: str, kind: str, advice: str) -> None:
    folder = files(tmp_path / "em", suffix)
    names = ", ".join(f"z00{z}{suffix}" for z in range(3))
    text = refusal(folder)
    assert text.startswith(f"{folder}: all 4 files are {kind} files ({names}, ...); {advice}")


def test_some_of_another_format(tmp_path: Path) -> None:
    folder = files(files(tmp_path / "em", ".png", 4), ".bmp", 2)
    assert refusal(folder).startswith(
        f"{folder}: 2 of 6 files are BMP files (z000.bmp, z001.bmp); move them out of the folder, or convert them"
    )


def test_a_file_of_a_microscope_is_no_stack(tmp_path: Path) -> None:
    files(tmp_path, ".nd2", 1)
    assert refusal(tmp_path / "z000.nd2") == (
        f"{tmp_path / 'z000.nd2'}: is a microscope file; save it as TIFF (in Fiji: File > Import > Bio-Formats, then "
        "File > Save As > Tiff)"
    )


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ({".zarray": "{}", "0.0.0": ""}, "Zarr data (.zarray)"),
        ({"zarr.json": '{"zarr_format": 3, "node_type": "array"}'}, "Zarr data (zarr.json)"),
        ({"zarr.json": '{"node_type": "group"}', "0/zarr.json": '{"node_type": "array"}'}, "Zarr data (zarr.json)"),
        ({".zgroup": "{}", ".zattrs": "{}", "0/.zarray": "{}"}, "Zarr data (.zattrs)"),
        (
            {"attributes.json": '{"n5": "2.5.1"}', "0/attributes.json": '{"dimensions": [4]}'},
            "N5 data (attributes.json)",
        ),
        ({"attributes.json": '{"dimensions": [4, 4, 4], "blockSize": [4, 4, 4]}'}, "N5 data (attributes.json)"),
    ],
)
def test_zarr_and_n5_are_known_by_what_they_hold(tmp_path: Path, entries: dict[str, str], what: str) -> None:
    folder = tmp_path / "image"
    (folder / "0").mkdir(parents=True)
    for name, text in entries.items():
        (folder / name).write_text(text)
    assert refusal(folder) == (
        f"{folder}: is {what}, not a folder of images; save it as TIFF (in Fiji: File > Import > "
        "HDF5/N5/Zarr/OME-NGFF, then File > Save As > Tiff) or as an HDF5 dataset with the axes z, y, x"
    )


@pytest.mark.parametrize(
    ("name", "entries", "what"),
    [
        ("em", {".zgroup": '{"zarr_format": 2}'}, "Zarr data (.zgroup)"),
        ("em", {"zarr.json": '{"zarr_format": 3, "node_type": "group"}'}, "Zarr data (zarr.json)"),
        ("em", {"attributes.json": '{"n5": "2.5.1"}'}, "N5 data (attributes.json)"),
        ("em.zarr", {}, "Zarr data (em.zarr)"),
        ("em.n5", {}, "N5 data (em.n5)"),
    ],
)
def test_zarr_and_n5_without_an_array_are_named_so(
    tmp_path: Path, name: str, entries: dict[str, str], what: str
) -> None:
    folder = tmp_path / name
    (folder / "s0").mkdir(parents=True)
    for entry, text in entries.items():
        (folder / entry).write_text(text)
    assert refusal(folder) == (f"{folder}: is {what} without an array; save the data again, or name another folder")


def test_zarr_and_n5_are_known_by_the_names_of_folders(tmp_path: Path) -> None:
    for name in ("em.zarr", "em.n5"):
        (tmp_path / name / "s0").mkdir(parents=True)
        (tmp_path / name / "s0" / ".zarray").write_text("{}")
        assert f"{tmp_path / name}: is {'Zarr' if 'zarr' in name else 'N5'} data ({name}), not" in refusal(
            tmp_path / name
        )
    with open_stack(str(files(tmp_path / "copy_of_em.zarr", ".png"))) as stack:  # sections are sections
        assert stack.shape == (4, 8, 12)


def test_a_file_of_attributes_among_sections_is_no_n5(tmp_path: Path) -> None:
    folder = files(tmp_path / "em", ".png")
    (folder / "attributes.json").write_text('{"microscope": "GeminiSEM"}')
    with open_stack(str(folder)) as stack:
        assert stack.shape == (4, 8, 12)


def test_folders_of_sections_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        files(tmp_path / name, ".png")
    assert refusal(tmp_path) == (
        f"{tmp_path}: holds only folders (a, b), no PNG or TIFF sections; name one of those that hold sections, such "
        f"as {tmp_path / 'a'}: each is a stack"
    )
    (tmp_path / "a").rename(tmp_path / "b" / "a")
    assert refusal(tmp_path) == (f"{tmp_path}: holds only folders (b), no PNG or TIFF sections; name {tmp_path / 'b'}")


@pytest.mark.parametrize("count", [1, 4])
def test_smaller_copies_are_called_so(tmp_path: Path, count: int) -> None:
    folder = files(tmp_path / "em", ".png")
    for z in range(count):
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / f"z{z:03d}_thumb.png")
    others = f" ({count - 1} more differ)" if count > 1 else ""
    assert refusal(folder) == (
        f"{folder}: z000_thumb.png is 6 x 4 pixels, but 4 of the {4 + count} sections are 12 x 8{others}; it looks "
        "like a smaller copy, as programs make them for previews: move such files out, or remove those that differ"
    )
