"""Stacks as users have them: what is read, in what order, and the words with which the rest is refused."""

from __future__ import annotations

import os
import struct
import unicodedata
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.sections import open_stack

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (3, 20, 30), np.uint8)


def png(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def folder(path: Path, sections: np.ndarray, name: str = "z{:04d}.png") -> Path:
    path.mkdir()
    for z, section in enumerate(sections):
        png(path / name.format(z), section)
    return path


def read(path: Path | str) -> np.ndarray:
    with open_stack(str(path)) as stack:
        return np.stack(list(stack.sections(lambda pixels, _: pixels)))


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def raw_png(path: Path, depth: int, colour: int, width: int, rows: list[bytes], extra: bytes = b"") -> None:
    """A PNG of any bit depth, which Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b""))


# Order and names


def test_sections_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1, 100, 9):
        png(tmp_path / f"z{number}.png", np.full((4, 5), number, np.uint8))
    with open_stack(str(tmp_path)) as stack:
        assert stack.files == ("z1.png", "z2.png", "z9.png", "z10.png", "z100.png")
    assert read(tmp_path)[:, 0, 0].tolist() == [1, 2, 9, 10, 100]


def test_mixed_prefixes_have_one_order(tmp_path: Path) -> None:
    for name in ("b2.png", "A10.png", "b1.tif", "a9.PNG", "0.png", "x.tiff"):
        Image.fromarray(GREY[0]).save(tmp_path / name, "PNG" if name.lower().endswith("png") else "TIFF")
    with open_stack(str(tmp_path)) as stack:
        assert stack.files == ("0.png", "a9.PNG", "A10.png", "b1.tif", "b2.png", "x.tiff")


def test_hidden_and_harmless_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    stack = folder(tmp_path / "images", GREY)
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._z0000.png", "z0000.png:Zone.Identifier"):
        (stack / name).write_bytes(b"junk")
    (stack / "masks").mkdir()
    np.testing.assert_array_equal(read(stack), GREY)


def test_what_is_not_read_beside_the_sections_is_told(tmp_path: Path) -> None:
    stack = folder(tmp_path / "images", GREY)
    for name in ("metadata.txt", "stage.csv", "Settings.INI", "scan.log"):
        (stack / name).write_text("pixel size 4 nm")
    (stack / "masks").mkdir()
    with open_stack(str(stack)) as opened:
        assert opened.shape == GREY.shape
        assert opened.remarks == (
            f"{stack}: 4 files of text beside the sections are not read: Settings.INI, metadata.txt, scan.log, ...",
            f"{stack}: 1 folder beside the sections is not read: masks",
        )


def test_a_file_that_is_no_section_is_named(tmp_path: Path) -> None:
    stack = folder(tmp_path / "images", GREY)
    (stack / "report.docx").write_text("good series")
    assert refusal(stack) == f"report.docx in {stack} is not a PNG or TIFF section; move it out of the folder"
    (stack / "project.zip").write_text("")
    assert refusal(stack) == (
        f"{stack}: 2 of 5 files are no PNG or TIFF sections (project.zip, report.docx); move them out of the folder"
    )


@pytest.mark.parametrize(("one", "other"), [("z1.png", "z01.png"), ("0001.png", "0001.tif"), ("A1.png", "a1.png")])
def test_two_files_of_one_number_are_refused(tmp_path: Path, one: str, other: str) -> None:
    for name in (one, other):
        Image.fromarray(GREY[0]).save(tmp_path / name)
    text = refusal(tmp_path)
    assert text.endswith("have the same place in the order of sections; rename or remove one of them")
    assert one in text
    assert other in text


def test_two_names_that_look_the_same_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        Image.fromarray(GREY[0]).save(tmp_path / unicodedata.normalize(form, "Käfer-1.png"))
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not tell NFC and NFD apart")
    assert "have the same place in the order of sections; rename or remove one of them" in refusal(tmp_path)


def test_sections_at_negative_and_decimal_positions(tmp_path: Path) -> None:
    for number, z in enumerate(("-10.5", "-2.0", "0.0", "1.25", "10.0")):
        png(tmp_path / f"z{z}.png", np.full((4, 5), number, np.uint8))
    assert read(tmp_path)[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_sections_of_a_wafer_of_which_one_is_lost(tmp_path: Path) -> None:
    for number, section in enumerate([7, 8, 9, 11, 12]):
        png(tmp_path / f"W2.{section}.png", np.full((4, 5), number, np.uint8))
    assert read(tmp_path)[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    with open_stack(str(tmp_path)) as stack:
        assert stack.remarks == (
            f"{tmp_path}: the point in W2.9.png is taken for a separator, so W2.9.png comes before W2.11.png; if that "
            "is wrong, write equally many digits behind each point",
        )


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert refusal(tmp_path) == f"{tmp_path}: is empty; put the sections there, each as one PNG or TIFF file"


def test_a_folder_of_folders_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    assert refusal(tmp_path) == (
        f"{tmp_path}: holds only folders (a, b, c, ...), no PNG or TIFF sections; name the folder that holds the "
        "sections"
    )


# Sections that are not alike


def test_the_section_of_another_size_is_named(tmp_path: Path) -> None:
    stack = folder(tmp_path / "images", np.zeros((4, 20, 30), np.uint8))
    png(stack / "z0002.png", np.zeros((21, 30), np.uint8))
    assert refusal(stack) == (
        f"{stack}: z0002.png is 30 x 21 pixels, but 3 of the 4 sections are 30 x 20; "
        "crop or pad the sections to one size, or remove those that differ"
    )


def test_the_section_of_another_depth_is_named(tmp_path: Path) -> None:
    stack = folder(tmp_path / "images", np.zeros((5, 20, 30), np.uint8))
    png(stack / "z0001.png", np.zeros((20, 30), np.uint16))
    png(stack / "z0003.png", np.zeros((20, 30, 3), np.uint8))
    assert refusal(stack) == (
        f"{stack}: z0001.png is 16-bit grey, but 3 of the 5 sections are 8-bit grey (1 more differs); "
        "save all sections with the same bit depth and colours, or remove those that differ"
    )


def test_real_pictures_of_many_sizes_are_refused(shared: Path) -> None:
    stack = shared / "dsb2018" / "images"
    assert refusal(stack).startswith(
        f"{stack}: 0005.png is 360 x 360 pixels, but 73 of the 120 sections are 256 x 256 (46 more differ); crop or pad"
    )


# Damage


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_png_is_named(tmp_path: Path, share: float) -> None:
    stack = folder(tmp_path / "images", RNG.integers(0, 256, (3, 64, 64), np.uint8))
    file = stack / "z0001.png"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert refusal(stack) == f"{file}: is truncated or damaged; copy it again from its source"


def test_a_png_with_other_bytes_inside_is_named(tmp_path: Path) -> None:
    stack = folder(tmp_path / "images", RNG.integers(0, 256, (3, 64, 64), np.uint8))
    file = stack / "z0002.png"
    data = bytearray(file.read_bytes())
    data[2000:2100] = bytes(100)
    file.write_bytes(data)
    assert refusal(stack) == f"{file}: is truncated or damaged; copy it again from its source"


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_tiff_section_is_named(tmp_path: Path, share: float, compression: str | None) -> None:
    for z in range(3):
        tifffile.imwrite(tmp_path / f"{z}.tif", RNG.integers(0, 256, (64, 64), np.uint8), compression=compression)
    file = tmp_path / "1.tif"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert refusal(tmp_path) == f"{file}: is truncated or damaged; copy it again from its source"


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}, {"metadata": None}, {"ome": True}])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_stack_in_one_tiff_is_refused(tmp_path: Path, share: float, options: dict[str, object]) -> None:
    file = tmp_path / "stack.tif"
    tifffile.imwrite(file, RNG.integers(0, 256, (9, 64, 64), np.uint8), photometric="minisblack", **options)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert "is truncated or damaged; copy it again from its source" in refusal(file)


def test_empty_files_and_files_that_are_something_else(tmp_path: Path) -> None:
    for number, (suffix, data, words) in enumerate(
        [
            (".png", b"", "is empty; save it as PNG, or copy it again from its source"),
            (".tif", b"", "is empty; copy it again from its source"),
            (".png", b"GIF89a" * 9, "is not a PNG file, although its name says so; save it as PNG, or copy it again"),
            (".tif", b"GIF89a" * 9, "is not a TIFF file, although its name says so; save it as TIFF, or copy it again"),
        ]
    ):
        stack = folder(tmp_path / str(number), GREY)
        (stack / f"z0003{suffix}").write_bytes(data)
        assert refusal(stack).startswith(f"{stack / 'z0003'}{suffix}: {words}")


def test_a_truncated_or_damaged_hdf5_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "image.h5"
    with h5py.File(file, "w") as out:
        out.create_dataset("raw", data=RNG.integers(0, 256, (8, 64, 64), np.uint8), chunks=(4, 64, 64), compression=1)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert refusal(file) == f"{file}: is truncated; make it again, or copy it again from its source"
    middle = len(whole) - 8000
    file.write_bytes(whole[:middle] + bytes(2000) + whole[middle + 2000 :])
    assert refusal(file).startswith(f"{file}: cannot be read because the file is damaged (HDF5: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        stack = folder(tmp_path / suffix[1:], GREY, name="z{:04d}" + suffix)
        file = stack / f"z0001{suffix}"
        file.chmod(0)
        assert refusal(stack) == f"{file}: this user may not read it; allow reading (chmod), or copy it"


# What else a path may name


def test_paths_that_are_no_stack(tmp_path: Path) -> None:
    what = "name a folder of PNG or TIFF sections, a multi-page TIFF or an HDF5 file"
    assert refusal(tmp_path / "nope") == f"{tmp_path / 'nope'}: no such file or folder; {what}"
    (tmp_path / "seg.zip").write_bytes(b"PK")
    assert refusal(tmp_path / "seg.zip") == f"{tmp_path / 'seg.zip'}: is not a stack; {what}"
    assert refusal(tmp_path / "a.h5") == f"{tmp_path / 'a.h5'}: no such file"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_section_is_no_stack_but_a_folder_of_one_is(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"z0{suffix}"
    Image.fromarray(GREY[0]).save(file)
    assert refusal(file) == f"{file}: is one section; to import all sections, name their folder, {tmp_path}"
    np.testing.assert_array_equal(read(tmp_path), GREY[:1])


def test_an_hdf5_dataset_is_read_by_name(tmp_path: Path) -> None:
    file = tmp_path / "image.h5"
    with h5py.File(file, "w") as out:
        out["raw"], out["other"] = GREY, GREY + 1
    np.testing.assert_array_equal(read(f"{file}:raw"), GREY)
    np.testing.assert_array_equal(read(f"{file}@other"), GREY + 1)
    assert "holds 2 3D datasets (other (3, 20, 30), raw (3, 20, 30)); name one" in refusal(file)


@pytest.mark.parametrize("chunks", [None, (1, 20, 30), (2, 7, 30), (3, 20, 30)])
def test_hdf5_sections_whatever_the_chunks(tmp_path: Path, chunks: tuple[int, int, int] | None) -> None:
    with h5py.File(tmp_path / "image.h5", "w") as out:
        out.create_dataset("raw", data=GREY, chunks=chunks)
    np.testing.assert_array_equal(read(tmp_path / "image.h5"), GREY)


# Pixels as they are stored


@pytest.mark.parametrize(("depth", "packed", "values"), [(2, 0b00011011, [0, 1, 2, 3]), (4, 0x1F, [1, 15])])
def test_png_of_few_bits_keeps_its_values(tmp_path: Path, depth: int, packed: int, values: list[int]) -> None:
    raw_png(tmp_path / "a.png", depth, 0, len(values), [bytes([packed])])
    assert read(tmp_path).tolist() == [[values]]


def test_16_bit_colour_is_not_taken_for_8_bit(tmp_path: Path) -> None:
    raw_png(tmp_path / "a.png", 16, 2, 1, [struct.pack(">3H", 1, 256, 65535)])
    with open_stack(str(tmp_path)) as stack:
        assert str(stack.form) == "16-bit RGB"


def test_sections_beyond_what_pillow_takes_for_an_attack(tmp_path: Path) -> None:
    side = 13500  # Pillow's limit is 13377 x 13377
    raw_png(tmp_path / "a.png", 1, 0, side, [bytes(-(-side // 8))] * side)
    with open_stack(str(tmp_path)) as stack:
        assert next(stack.sections(lambda pixels, _: pixels)).shape == (side, side)


def test_damaged_exif_data_are_no_reason_to_refuse_a_png(tmp_path: Path) -> None:
    for z, section in enumerate(GREY):
        Image.fromarray(section).save(tmp_path / f"{z}.png", exif=b"Exif\0\0 no TIFF header")
    np.testing.assert_array_equal(read(tmp_path), GREY)


# Voxel size
