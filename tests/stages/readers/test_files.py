"""Single image files: how they are written, and that what is read is what was written."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers import files
from floodrunner.stages.readers.forms import FileError, Form, Section

RNG = np.random.default_rng(4)
SHAPES = ((20, 30), (20, 3), (3, 20), (1, 1), (20, 30, 3), (3, 4, 3))
"""Among them those that a writer might take for colours, or for a stack."""


def pixels(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("level", [3, 6])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_png_is_the_one_that_pillow_writes(tmp_path: Path, shape: tuple[int, ...], level: int) -> None:
    for dtype in (np.uint8, np.uint16)[: 2 if len(shape) == 2 else 1]:
        array = pixels(shape, dtype)
        files.write(tmp_path / "a.png", array, compress_level=level)
        Image.fromarray(array).save(tmp_path / "b.png", compress_level=level)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize(("shape", "rows"), [*((shape, 0) for shape in SHAPES), ((700, 1000), 2**18 // 1000)])
def test_a_tiff_has_strips_that_python_compressed(
    tmp_path: Path, shape: tuple[int, ...], rows: int, dtype: type
) -> None:
    """So the same pixels give the same file, whichever libraries imagecodecs brings."""
    array = pixels(shape, dtype)
    files.write(tmp_path / "a.tif", array)
    data = (tmp_path / "a.tif").read_bytes()
    rows = rows // array.itemsize or len(array)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        (page,) = tiff.pages
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        strips = [data[start : start + length] for start, length in places]
        assert page.photometric == (2 if len(shape) == 3 else 1)
    assert strips == [zlib.compress(array[y : y + rows].tobytes(), 6) for y in range(0, len(array), rows)]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif").reshape(shape), array)


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">u4", ">f4", "?"])
def test_a_tiff_holds_the_values_in_whatever_byte_order_they_came(tmp_path: Path, dtype: str) -> None:
    """HDF5 files of other programs hold all of these."""
    array = (np.arange(21 * 33).reshape(21, 33) % (2 if dtype == "?" else 300)).astype(dtype)
    files.write(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), array)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("shape", "dtype"), [((20, 30), np.uint8), ((20, 30), np.uint16), ((20, 30, 3), np.uint8)])
def test_head_and_pixels_of_what_was_written(tmp_path: Path, shape: tuple[int, ...], dtype: type, suffix: str) -> None:
    array = pixels(shape, dtype)
    file = tmp_path / f"a{suffix}"
    files.write(file, array)
    head = files.head(file)
    assert head == Section(file.name, 20, 30, Form(array.itemsize * 8, 3 if array.ndim == 3 else 1))
    np.testing.assert_array_equal(files.read(file, head.form), array)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_head_and_pixels_are_turned_as_viewers_show_them(
    tmp_path: Path, shape: tuple[int, ...], orientation: int, suffix: str
) -> None:
    file, array = tmp_path / f"a{suffix}", pixels(shape, np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    if suffix == ".tif":
        tifffile.imwrite(file, array, metadata=None, extratags=[(274, 3, 1, orientation, True)])
    else:
        Image.fromarray(array).save(file, exif=exif)
    with Image.open(file) as image:
        stored = Image.fromarray(array) if suffix == ".tif" else image.copy()
        stored.getexif()[274] = orientation
        expected = np.asarray(ImageOps.exif_transpose(stored))
    head = files.head(file)
    read = files.read(file, head.form)
    np.testing.assert_array_equal(read, expected)
    assert (head.height, head.width) == read.shape[:2]
    assert read.flags.c_contiguous
    told = [f"as the orientation tag ({orientation}) says and viewers show them; Fiji shows them as stored"]
    assert [remark.split(", ", 1)[1] for remark in head.remarks] == (told if orientation > 1 else [])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_full_disk_and_a_missing_folder_keep_their_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        files.write(tmp_path / "no" / name, pixels((20, 30), np.uint8))
    assert caught.value.filename == str(tmp_path / "no" / name)
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as full:
        files.write(tmp_path / name, pixels((200, 300), np.uint8))
    assert full.value.errno == 28


# The heads of all files of a folder


def test_a_problem_of_all_files_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"c{k}.png" for k in range(6)]
    for path in paths:
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    assert [each.name for each in files.heads(tmp_path, paths)] == [path.name for path in paths]
    true_head, odd = files.head, {0, 1, 2, 3, 4, 5}

    def head(path: Path) -> Section:
        if int(path.stem[1:]) in odd:
            raise FileError(path, "holds 2 channels; save one")
        return true_head(path)

    def refusal() -> str:
        with pytest.raises(InputError) as caught:
            files.heads(tmp_path, paths)
        return str(caught.value)

    monkeypatch.setattr(files, "head", head)
    assert refusal() == f"{tmp_path}: c0.png holds 2 channels; save one (the same for all 6 files)"
    odd -= {0, 2}
    assert refusal() == (
        f"{tmp_path}: c1.png holds 2 channels; save one (the same for 3 more of the 6 files: c3.png, c4.png, c5.png)"
    )
    odd -= {3, 4, 5}
    assert refusal() == f"{paths[1]}: holds 2 channels; save one"


def test_of_two_problems_the_commoner_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def head(path: Path) -> Section:
        raise FileError(path, "is empty" if path.stem == "a" else "is damaged")

    monkeypatch.setattr(files, "head", head)
    with pytest.raises(InputError, match=r": b is damaged \(the same for 1 more of the 3 files: c\)"):
        files.heads(tmp_path, [tmp_path / name for name in "abc"])
