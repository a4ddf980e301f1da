"""TIFF files: stacks of sections in one file, compressions, axes, voxel sizes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.stages.readers.sections import open_stack
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
        f"{tmp_path / 'b.tif'}: holds 3 pages, and each file in a folder holds one; "
        "name it alone as the stack, move it out of the folder, or save each page as a file"
    )


def test_a_page_of_another_size_among_series_is_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "stack.tif") as out:
        out.write(np.zeros((4, 20, 30), np.uint8), photometric="minisblack")
        out.write(np.zeros((10, 15), np.uint8))
    assert "page 5 is 15 x 10 pixels, but 4 of the 5 sections are 30 x 20" in refusal(tmp_path / "stack.tif")


def remarks(path: Path) -> tuple[str, ...]:
    with open_stack(str(path)) as stack:
        return stack.remarks


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_the_sections_of_a_stack_are_turned_as_their_pages_say(tmp_path: Path, options: dict[str, object]) -> None:
    file = tmp_path / "stack.tif"
    with tifffile.TiffWriter(file) as out:
        for section in GREY:
            turned = [(274, 3, 1, 6, True)]
            out.write(section, metadata=None, contiguous=False, extratags=turned, **options)
    np.testing.assert_array_equal(read(file), np.rot90(GREY, -1, axes=(1, 2)))
    assert [
        remark.startswith("stack.tif: pixels are turned by 90 degrees to the right") for remark in remarks(file)
    ] == [True]


@pytest.mark.parametrize("turned", [{0: 2}, {2: 6}, {0: 8, 1: 8}, {0: 5, 1: 5, 2: 3}])
def test_pages_that_are_turned_differently_are_refused(tmp_path: Path, turned: dict[int, int]) -> None:
    """tifffile writes a tag on the first page only, if it is to be written once; other pages then have none."""
    file = tmp_path / "stack.tif"
    with tifffile.TiffWriter(file) as out:
        for number, section in enumerate(GREY):
            tag = [(274, 3, 1, turned[number], True)] if number in turned else []
            out.write(section, metadata=None, contiguous=False, extratags=tag)
    first = turned.get(0, 1)
    other = next(k for k in range(3) if turned.get(k, 1) != first)
    assert refusal(file) == (
        f"{file}: the orientation tag (274; 1 if there is none) is {first} on page 1, but {turned.get(other, 1)} on "
        f"page {other + 1}, so sections would not lie on each other; in Fiji, which ignores the tag, File > Save As > "
        "Tiff writes them without it"
    )


def test_a_tag_that_says_as_stored_is_like_none(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "stack.tif") as out:
        for number, section in enumerate(GREY):
            tag = [(274, 3, 1, 1, True)] if number == 0 else []
            out.write(section, metadata=None, contiguous=False, extratags=tag)
    np.testing.assert_array_equal(read(tmp_path / "stack.tif"), GREY)


SIX = np.concatenate([GREY, 255 - GREY])


@pytest.mark.parametrize("counts", [(4, 2), (1, 5), (3, 3), (1, 1, 1, 1, 1, 1), (6,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_equal_pages_are_sections_however_they_were_written(
    tmp_path: Path, counts: tuple[int, ...], dtype: type, options: dict[str, object]
) -> None:
    file, start = tmp_path / "stack.tif", 0
    with tifffile.TiffWriter(file) as out:
        for count in counts:
            block = SIX[start] if count == 1 else SIX[start : start + count]
            out.write(block.astype(dtype), photometric="minisblack", **options)
            start += count
    np.testing.assert_array_equal(read(file), SIX)
    told = f"stack.tif: 6 pages in {len(counts)} series of {', '.join(map(str, counts[:-1]))} and {counts[-1]}: all are"
    assert [remark.startswith(told) for remark in remarks(file)] == ([True] if 1 < len(counts) < 6 else [])


def test_sections_that_were_appended_one_by_one(tmp_path: Path) -> None:
    for section in SIX:
        tifffile.imwrite(tmp_path / "stack.tif", section, append=True)
    np.testing.assert_array_equal(read(tmp_path / "stack.tif"), SIX)


@pytest.mark.parametrize(
    "description", ['{"shape": [3, 20, 30]}', "ImageJ=1.54f\nimages=3\nslices=3\n", "an EM of the cortex"]
)
def test_stacks_that_were_joined_as_tiffcp_joins_them(tmp_path: Path, description: str) -> None:
    """The first page of each part keeps a description that speaks of the part."""
    file = tmp_path / "stack.tif"
    with tifffile.TiffWriter(file) as out:
        for z, section in enumerate(SIX):
            text = description if z % 3 == 0 else None
            out.write(section, photometric="minisblack", metadata=None, contiguous=False, description=text)
    np.testing.assert_array_equal(read(file), SIX)
    assert len(remarks(file)) == (0 if description.startswith("an EM") else 1)


def test_a_stack_cut_out_of_another_one_tells_of_it(tmp_path: Path) -> None:
    file = tmp_path / "stack.tif"
    with tifffile.TiffWriter(file) as out:
        for section in GREY:
            out.write(section, metadata=None, contiguous=False, description="ImageJ=1.54f\nimages=99\nslices=99\n")
    np.testing.assert_array_equal(read(file), GREY)
    told = "the description speaks of 99 pictures, but there are 3 pages: each page is taken as a section"
    assert remarks(file) == (f"stack.tif: {told}",)


def test_all_sections_in_one_page_as_imagej_writes_them_above_4_gb(tmp_path: Path) -> None:
    file = tmp_path / "stack.tif"
    words = f"ImageJ=1.54f\nimages={len(SIX)}\nslices={len(SIX)}\n"
    for section, description in ((SIX, words), (SIX.astype(">u2"), words)):
        tifffile.imwrite(file, section[0], description=description, metadata=None, byteorder=">")
        with tifffile.TiffFile(file) as opened:
            start, one = opened.pages[0].dataoffsets[0], section[0].tobytes()
        data = file.read_bytes()
        assert data[start:] == one  # the pixels are the end of the file
        file.write_bytes(data + section[1:].tobytes())
        np.testing.assert_array_equal(read(file), SIX)
        file.write_bytes(file.read_bytes()[:-1])
        assert refusal(file) == f"{file}: is truncated or damaged; copy it again from its source"
        file.write_bytes(data)  # a page that was taken from the stack
        assert refusal(file).startswith(f"{file}: is one section;")


def test_all_sections_in_one_page_as_metamorph_writes_them(tmp_path: Path) -> None:
    file, planes = tmp_path / "stack.tif", np.resize(GREY, (10, 20, 30))
    one_each = np.ones((5, 2), np.uint32).tobytes()  # tifffile counts the numbers, of which two are a fraction
    tags = [(code, 5, 5, one_each, True) for code in (33628, 33629)]
    tifffile.imwrite(file, planes[0], metadata=None, extratags=tags)
    with tifffile.TiffFile(file) as opened:
        assert opened.pages.first.tags[33629].count == 10
    file.write_bytes(file.read_bytes() + planes[1:].tobytes())
    np.testing.assert_array_equal(read(file), planes)


def test_smaller_copies_are_no_sections(tmp_path: Path) -> None:
    """The levels of a pyramid: in the chain of pages with a mark, or out of it."""
    with tifffile.TiffWriter(tmp_path / "chain.tif") as out:
        out.write(GREY, photometric="minisblack", metadata=None)
        out.write(GREY[:, ::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "chain.tif"), GREY)
    told = "chain.tif: 3 smaller copies of sections are left out (page 4, 5, 6)"
    assert remarks(tmp_path / "chain.tif") == (told,)
    with tifffile.TiffWriter(tmp_path / "aside.tif") as out:
        out.write(GREY, photometric="minisblack", subifds=1)
        out.write(GREY[:, ::2, ::2], photometric="minisblack", subfiletype=1)
    np.testing.assert_array_equal(read(tmp_path / "aside.tif"), GREY)
    with tifffile.TiffWriter(tmp_path / "liar.tif") as out:
        for section in GREY:
            out.write(section, subfiletype=1, metadata=None, contiguous=False)
    np.testing.assert_array_equal(read(tmp_path / "liar.tif"), GREY)


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
