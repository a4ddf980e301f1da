"""Pixels of a TIFF page: what their samples mean, and pages that promise more than the file holds."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.stages.readers import tiff
from floodrunner.stages.readers.forms import FileError, Form, opaque
from tests.stages.readers.test_sections import GREY, RNG, refusal

ONE_OF = "a network takes one grey channel or RGB: save the one with the cells (Image > Color > Split Channels)"
DAMAGED = "is truncated or damaged; copy it again from its source"


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


def read(file: Path) -> np.ndarray:
    return tiff.page_pixels(file, tiff.single_page(file).form)


def problem(file: Path) -> str:
    with pytest.raises(FileError) as caught:
        read(file)
    return caught.value.problem


def edit(file: Path, **values: int) -> None:
    """Changes the first value of tags, by their names, or, with None, calls them something else."""
    data = bytearray(file.read_bytes())
    with tifffile.TiffFile(file) as opened:
        for name, value in values.items():
            tag = opened.pages.first.tags[name]
            if value is None:
                struct.pack_into("<H", data, tag.offset, 65535)
            else:
                struct.pack_into("<I" if tag.dtype == 4 else "<H", data, tag.valueoffset, value)
    file.write_bytes(data)


# Samples


@pytest.mark.parametrize(
    ("shape", "options", "count"),
    [
        ((20, 30, 2), {"photometric": "minisblack", "planarconfig": "contig"}, 2),
        ((2, 20, 30), {"photometric": "minisblack", "planarconfig": "separate"}, 2),
        ((3, 20, 30), {"photometric": "minisblack", "planarconfig": "separate"}, 3),
        ((20, 30, 4), {"photometric": "rgb", "extrasamples": ["unspecified"]}, 4),
        ((20, 30, 4), {"photometric": "minisblack", "planarconfig": "contig"}, 4),
        ((20, 30, 5), {"photometric": "rgb", "extrasamples": ["unspecified", "unassalpha"]}, 5),
        ((10, 20, 30), {"photometric": "minisblack", "planarconfig": "separate"}, 10),
    ],
)
def test_samples_that_are_channels(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, object], count: int
) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, pixels(*shape), **options)
    sections = " (if they are sections, save it with one section in each page)" if count > 4 or shape[0] < 4 else ""
    assert problem(file) == f"holds {count} channels in one page{sections}; {ONE_OF}"
    assert refusal(file) == refusal(tmp_path) == f"{file}: {problem(file)}"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opacity_that_is_one_is_read(tmp_path: Path, mode: str) -> None:
    array = pixels(20, 30, len(mode))
    array[..., -1] = 255
    Image.fromarray(array, mode).save(tmp_path / "a.tif")
    assert tiff.single_page(tmp_path / "a.tif").form == Form(8, len(mode))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), array)
    array[..., -1] = 7
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb" if mode == "RGBA" else "minisblack", extrasamples=[1])
    with pytest.raises(FileError) as caught:
        opaque(read(tmp_path / "a.tif"), "a.tif")
    assert "has transparent pixels (100 % of them)" in str(caught.value)


def test_a_fourth_sample_without_a_word_about_it_is_opacity(tmp_path: Path) -> None:
    array = pixels(20, 30, 4)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["unassalpha"], metadata=None)
    edit(tmp_path / "a.tif", ExtraSamples=None)
    assert tiff.single_page(tmp_path / "a.tif").form == Form(8, 4)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), array)


def test_three_samples_are_taken_as_colours_and_told(tmp_path: Path) -> None:
    array = pixels(20, 30, 3)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", planarconfig="contig")
    head = tiff.single_page(tmp_path / "a.tif")
    assert head.form == Form(8, 3)
    assert head.remarks == ("three samples are taken as red, green and blue, although the file does not call them so",)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), array)


def test_planes_of_colours_may_be_sections_and_that_is_told(tmp_path: Path) -> None:
    """tifffile writes a stack of 3 sections as the colours of one, if nobody tells it otherwise."""
    array = pixels(3, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", planarconfig="separate")
    told = (
        "the 3 planes are taken as the colours of one picture, as the file says; if they are sections, save it with "
        "one section in each page"
    )
    assert tiff.single_page(tmp_path / "a.tif").remarks == (told,)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), array.transpose(1, 2, 0))
    assert refusal(tmp_path / "a.tif").startswith(
        f"{tmp_path / 'a.tif'}: is one section (8-bit RGB; {told}); to import"
    )


def test_colours_that_no_stage_can_use(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    Image.new("CMYK", (30, 20)).save(file)
    assert problem(file) == "is a TIFF file with CMYK colours; save it as grey or RGB"
    Image.new("YCbCr", (30, 20)).save(file)
    assert problem(file) == "is a TIFF file with YCbCr colours; save it as grey or RGB"
    Image.new("LAB", (30, 20)).save(file)
    assert problem(file) == "is a TIFF file with CIE L*a*b* colours; save it as grey or RGB"


def test_jpeg_inside_tiff_is_rgb(tmp_path: Path) -> None:
    array = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", compression="jpeg")
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        assert opened.pages.first.photometric.name == "YCBCR"
    assert tiff.single_page(tmp_path / "a.tif").form == Form(8, 3)
    np.testing.assert_allclose(read(tmp_path / "a.tif").astype(int), array, atol=4)


# Numbers


def test_0_is_white_only_if_the_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0], photometric="miniswhite", metadata=None)
    assert tiff.single_page(file).form == Form(8, type="inverted")
    edit(file, PhotometricInterpretation=None)
    assert tiff.single_page(file).form == Form(8)


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_pixels_of_any_number_of_bits(tmp_path: Path, bits: int) -> None:
    array = RNG.integers(0, 2**bits, (20, 32), np.uint16)
    packed = np.packbits((array[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8))
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, packed.reshape(20, -1), metadata=None)
    edit(file, ImageWidth=32, BitsPerSample=bits)
    np.testing.assert_array_equal(read(file), array)
    head = tiff.single_page(file)
    told = f"pixels have {bits} bits, read as {8 if bits < 8 else 16}-bit numbers from 0 to {2**bits - 1}"
    assert head.remarks == ((told,) if bits > 1 else ())
    assert head.form == Form({1: 1, 2: 8, 4: 8}.get(bits, 16))


def test_bits_in_reverse_order(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0], metadata=None, extratags=[(65000, 3, 1, 2, True)])
    file.write_bytes(file.read_bytes().replace(struct.pack("<HH", 65000, 3), struct.pack("<HH", 266, 3)))
    reverse = np.packbits(np.unpackbits(GREY[0][..., None], axis=-1)[..., ::-1], axis=-1)[..., 0]
    np.testing.assert_array_equal(read(file), reverse)


def test_numbers_that_no_stage_can_use(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0].astype(np.complex64))
    assert problem(file) == "stores complex numbers of 64 bits, which cannot be read; save it as 8- or 16-bit grey"
    tifffile.imwrite(file, GREY[0].astype(np.float32), metadata=None)
    edit(file, BitsPerSample=48)
    assert problem(file) == "stores numbers of 48 bits, which cannot be read; save it as 8- or 16-bit grey"


# What the file can hold


def test_a_picture_of_no_pixels(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0], metadata=None)
    edit(file, ImageWidth=0, ImageLength=0)
    assert problem(file) == "has 0 x 0 pixels; export it again from its source"


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "jpeg"])
def test_a_size_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for(
    tmp_path: Path, compression: str | None
) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0], metadata=None, compression=compression)
    edit(file, ImageWidth=60_000, ImageLength=60_000, RowsPerStrip=60_000)
    assert problem(file) == DAMAGED


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd", "lzma"])
def test_an_even_picture_is_none_of_these(tmp_path: Path, compression: str) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.zeros((2000, 2000), np.uint8), compression=compression, rowsperstrip=2000)
    assert read(file).shape == (2000, 2000)
    tifffile.imwrite(file, np.zeros((2000, 2000), np.uint8), compression=compression, tile=(256, 256))
    assert read(file).shape == (2000, 2000)


@pytest.mark.parametrize("options", [{"tile": (64, 64)}, {"rowsperstrip": 16}])
@pytest.mark.parametrize(
    ("compression", "marker", "at"),
    [("jpeg", b"\xff\xc0", slice(5, 9)), ("jpeg2000", b"\xff\x4f\xff\x51", slice(8, 16))],
)
def test_data_that_are_larger_than_their_tile(
    tmp_path: Path, options: dict[str, object], compression: str, marker: bytes, at: slice
) -> None:
    """Their decoders ask for memory by the size that the data of the tile themselves give."""
    file = tmp_path / "a.tif"
    array = pixels(64, 64, 3)
    tifffile.imwrite(file, array, photometric="rgb", compression=compression, **options)
    np.testing.assert_allclose(read(file).mean(), array.mean(), atol=2)
    data = bytearray(file.read_bytes())
    start = data.rindex(marker)
    data[start + at.start : start + at.stop] = (65280).to_bytes((at.stop - at.start) // 2, "big") * 2
    file.write_bytes(data)
    assert problem(file) == DAMAGED


def test_tiles_of_a_size_beyond_reason(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0], metadata=None, compression="zlib", tile=(64, 64))
    edit(file, TileWidth=65520, TileLength=65520)
    assert problem(file) == DAMAGED


@pytest.mark.parametrize("options", [{"rowsperstrip": 5}, {"tile": (16, 16)}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_missing_strips_and_tiles_are_not_read_as_black(
    tmp_path: Path, options: dict[str, object], compression: str | None
) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY[0], metadata=None, compression=compression, **options)
    kind = "tiles" if "tile" in options else "strips"
    edit(file, **{"TileByteCounts" if "tile" in options else "StripByteCounts": 0})
    again = "copy it again, or open it and save it again"
    assert problem(file) == f"has no pixels for 1 of its 4 {kind}; {again}"
