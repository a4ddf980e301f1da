"""The chain of pages in a TIFF file: what is read when it ends as it should, and when it does not."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from floodrunner.stages.readers import tiff
from floodrunner.stages.readers.sections import open_stack
from floodrunner.stages.readers.tiff_chain import chain
from tests.stages.readers.test_sections import GREY, read, refusal

WORDS = "is truncated or damaged; copy it again from its source"


def pointers(file: Path) -> list[int]:
    """Where in a classic little-endian TIFF the offset of the next page is, for each page."""
    data, found = file.read_bytes(), []
    (at,) = struct.unpack_from("<I", data, 4)
    while at:
        found.append(at + 2 + 12 * struct.unpack_from("<H", data, at)[0])
        (at,) = struct.unpack_from("<I", data, found[-1])
    return found


def point(file: Path, page: int, to: int) -> None:
    data = bytearray(file.read_bytes())
    struct.pack_into("<I", data, pointers(file)[page], to)
    file.write_bytes(data)


def pages(file: Path, count: int = 3, **options: object) -> Path:
    with tifffile.TiffWriter(file, **options) as out:
        for section in np.resize(GREY, (count, *GREY.shape[1:])):
            out.write(section, contiguous=False, metadata=None)
    return file


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_a_chain_that_ends_as_it_should(tmp_path: Path, options: dict[str, object]) -> None:
    file = pages(tmp_path / "a.tif", **options)
    found = chain(file)
    assert found.broken is None
    assert found.size == file.stat().st_size
    with tifffile.TiffFile(file) as opened:
        assert [set(tags) for tags in found.tags] == [{tag.code for tag in page.tags} for page in opened.pages]


@pytest.mark.parametrize("to", [0x7F7F7F7F, 9])
def test_rubbish_after_the_page_of_a_section_is_told(tmp_path: Path, to: int) -> None:
    for z in range(3):
        point(pages(tmp_path / f"{z}.tif", 1), 0, to)
    with open_stack(str(tmp_path)) as stack:
        (remark,) = stack.remarks
    assert remark == (
        "3 of 3 files (0.tif, 1.tif, 2.tif): after page 1 the chain of pages leads to where there is no page; "
        "only that page is read; in Fiji: File > Save As > Tiff writes a sound file"
    )
    np.testing.assert_array_equal(read(tmp_path), np.resize(GREY[0], (3, 20, 30)))


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("to", [0x7F7F7F7F, 9])
def test_a_stack_whose_chain_breaks_is_refused(tmp_path: Path, page: int, to: int) -> None:
    """Pages would be lost."""
    file = pages(tmp_path / "a.tif")
    point(file, page, to)
    assert refusal(file) == (
        f"{file}: {WORDS} (after page {page + 1} the chain of pages leads to where there is no page); "
        "in Fiji: File > Save As > Tiff writes a sound file of the pages that are left"
    )


def test_a_chain_that_bites_its_tail_is_refused(tmp_path: Path) -> None:
    file = pages(tmp_path / "a.tif")
    with tifffile.TiffFile(file) as opened:
        first = opened.pages[1].offset
    point(file, 2, first)
    assert f"{file}: {WORDS} (the chain of pages leads from page 3 back to page 2)" in refusal(file)


def test_a_chain_that_breaks_after_all_pages_of_the_description_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY, imagej=True, metadata={"axes": "ZYX"})
    point(file, 2, 0x7F7F7F7F)
    np.testing.assert_array_equal(read(file), GREY)
    with open_stack(str(file)) as stack:
        assert stack.remarks == (
            "a.tif: after page 3 the chain of pages leads to where there is no page; the description speaks of 3 "
            "pages, which are all there",
        )


def test_a_file_that_ends_in_its_last_directory(tmp_path: Path) -> None:
    file = pages(tmp_path / "a.tif", 1)
    data = file.read_bytes()
    (start,) = struct.unpack_from("<I", data, 4)
    after = pointers(file)[0] + 4
    directory, shift = data[start:after], len(data) - start
    moved = bytearray(data + directory)
    struct.pack_into("<I", moved, 4, start + shift)
    file.write_bytes(moved[:-4])  # the offset of the next page, which would be 0, is not there
    (remark,) = tiff.single_page(file).remarks
    assert remark.startswith("it ends in the middle of page 1; only that page is read;")
    file.write_bytes(moved[:-8])  # nor is its last tag
    assert refusal(tmp_path) == f"{file}: {WORDS}"


def test_an_empty_directory_at_the_end_is_no_page(tmp_path: Path) -> None:
    """As in files of FIB-SEM microscopes."""
    file = pages(tmp_path / "a.tif")
    end = file.stat().st_size
    point(file, 2, end)
    file.write_bytes(file.read_bytes() + bytes(6))
    np.testing.assert_array_equal(read(file), GREY)


@pytest.mark.parametrize("data", [b"II*\0", b"II*\0\xff\xff\xff\0", b"MM\0*\0\0\0\0", b"II+\0\x08\0\0\0" + bytes(8)])
def test_a_file_without_pages_is_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    assert refusal(tmp_path / "a.tif") == f"{tmp_path / 'a.tif'}: {WORDS}"


def test_a_private_tag_whose_value_is_lost_is_told(tmp_path: Path) -> None:
    for code, what in ((65000, "what stands beside the pixels"), (270, "the description")):
        file = tmp_path / "a.tif"
        tifffile.imwrite(file, GREY[0], metadata=None, extratags=[(code, 7, 40, bytes(40), True)])
        with tifffile.TiffFile(file) as opened:
            at = opened.pages[0].tags[code].offset
        data = bytearray(file.read_bytes())
        struct.pack_into("<I", data, at + 8, len(data) + 5000)
        file.write_bytes(data)
        (remark,) = tiff.single_page(file).remarks
        assert remark.startswith(f"{what} cannot be read (tag {code}), but the pixels can;")
        np.testing.assert_array_equal(tiff.page_pixels(file, tiff.single_page(file).form), GREY[0])


@pytest.mark.parametrize("tag", [259, 273, 279, 317, 339])
def test_a_tag_that_is_needed_to_read_pixels_rightly_must_not_be_lost(tmp_path: Path, tag: int) -> None:
    """tifffile would go on with the value that stands for a missing tag: no compression, no predictor, no sign."""
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0].astype(np.int16), compression="zlib", predictor=True, metadata=None)
    with tifffile.TiffFile(file) as opened:
        at = opened.pages[0].tags[tag].offset
    data = bytearray(file.read_bytes())
    struct.pack_into("<H", data, at + 2, 99)  # a type of numbers that does not exist
    file.write_bytes(data)
    assert refusal(tmp_path) == f"{file}: {WORDS}"
