"""TIFF files: stacks of sections in one file, compressions, axes, voxel sizes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from stages.readers.sections import open_stack
from tests.stages.readers.test_sections import GREY, RNG, read, refusal


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"}, {"metadata": None}]
)
def test_a_stack_in_one_tiff(tmp_path: Path, dtype: type, options: dict[str, object]) -> None:
    sections = RNG.integers(0, 127, (5, 20, 30)).astype(dtype)
    tifffile.imwrite(tmp_path / "stack.tif", sections, photometric="minisblack", **options)
    np.testing.assert_array_equal(read(tmp_path / "stack.tif"), sections)
    np.testing.assert_array_equal(read(tmp_path), sections)  # the folder that holds nothing else


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate", "raw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_compressions(tmp_path: Path, compression: str, dtype: type) -> None:
    sections = RNG.integers(0, 2**12, (4, 20, 30)).astype(dtype)
    first, *rest = [Image.fromarray(section) for section in sections]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest, compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "stack.tif"), sections)
    (tmp_path / "each").mkdir()
    for z, section in enumerate(sections):
        Image.fromarray(section).save(tmp_path / "each" / f"{z}.tiff", compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "each"), sections)


def test_32_bit_labels_that_libtiff_compressed_with_lzw(tmp_path: Path) -> None:
    """As Fiji writes them. Pillow, with libtiff, writes the files; imagecodecs reads them."""
    labels = RNG.integers(0, 2**31, (3, 20, 30), np.int32).repeat(5, 1)
    first, *rest = [Image.fromarray(section) for section in labels]
    first.save(tmp_path / "stack.tif", save_all=True, append_images=rest, compression="tiff_lzw")
    with tifffile.TiffFile(tmp_path / "stack.tif") as tiff:
        assert [page.compression.name for page in tiff.pages] == ["LZW"] * 3
    np.testing.assert_array_equal(read(tmp_path / "stack.tif"), labels)


def test_a_compression_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "z.tif"
    tifffile.imwrite(file, GREY[0])
    plain, thunderscan = (struct.pack("<HHIH", 259, 3, 1, code) for code in (1, 32809))
    data = file.read_bytes()
    assert plain in data
    file.write_bytes(data.replace(plain, thunderscan))
    assert refusal(tmp_path) == (
        f"{file}: 8-bit grey, compressed as THUNDERSCAN, cannot be read; save it without compression"
    )


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_colours(tmp_path: Path, planar: str) -> None:
    sections = RNG.integers(0, 256, (4, 20, 30, 3), np.uint8)
    stored = sections if planar == "contig" else sections.transpose(0, 3, 1, 2)
    tifffile.imwrite(tmp_path / "stack.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(read(tmp_path / "stack.tif"), sections)


def test_a_page_of_another_size_is_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "stack.tif") as out:
        for height in (20, 20, 19, 20):
            out.write(np.zeros((height, 30), np.uint8), contiguous=False, metadata=None)
    assert refusal(tmp_path / "stack.tif").startswith(
        f"{tmp_path / 'stack.tif'}: page 3 is 30 x 19 pixels, but 3 of the 4 sections are 30 x 20;"
    )


def test_a_stack_among_sections_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY[0])
    tifffile.imwrite(tmp_path / "b.tif", GREY, photometric="minisblack")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'b.tif'}: holds 3 pages, among files of one section each; "
        "move it out of the folder, or name it alone as the stack"
    )


def test_channels_and_times_are_no_sections(tmp_path: Path) -> None:
    file = tmp_path / "stack.tif"
    tifffile.imwrite(file, np.zeros((4, 2, 20, 30), np.uint8), imagej=True, metadata={"axes": "ZCYX"})
    assert refusal(file) == (
        f"{file}: holds 4 x 2 pictures (axes ZC); a stack has one axis of sections; save one channel "
        "and one time point of the file"
    )
    tifffile.imwrite(file, np.zeros((3, 20, 30), np.uint8), imagej=True, metadata={"axes": "CYX"})
    assert "holds 3 pictures (axes C)" in refusal(file)


def voxel_size(path: Path) -> tuple[float, float, float] | None:
    with open_stack(str(path)) as stack:
        return stack.voxel_size_xyz


def test_voxel_size_as_imagej_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "stack.tif"
    for unit, factor in (("um", 1000), ("nm", 1), ("micron", 1000)):
        metadata = {"spacing": 30 / factor, "unit": unit, "axes": "ZYX"}
        tifffile.imwrite(file, GREY, imagej=True, resolution=(factor / 4, factor / 5), metadata=metadata)
        assert voxel_size(file) == pytest.approx((4, 5, 30))
    for metadata in ({"spacing": 1.0, "axes": "ZYX"}, {"unit": "pixel", "spacing": 1.0, "axes": "ZYX"}):
        tifffile.imwrite(file, GREY, imagej=True, resolution=(72, 72), metadata=metadata)
        assert voxel_size(file) is None


def test_voxel_size_as_ome_has_it(tmp_path: Path) -> None:
    file = tmp_path / "stack.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": 4, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.005}
    tifffile.imwrite(file, GREY, metadata=metadata)
    assert voxel_size(file) is None  # z is not known
    tifffile.imwrite(file, GREY, metadata={**metadata, "PhysicalSizeZ": 30, "PhysicalSizeZUnit": "nm"})
    assert voxel_size(file) == pytest.approx((4, 5, 30))


def test_a_plain_resolution_tag_is_no_voxel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", GREY, photometric="minisblack", resolution=(72, 72))
    assert voxel_size(tmp_path / "stack.tif") is None
