"""One page of a TIFF file: its pixel form, whether the file can hold its pixels, and the pixels themselves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from floodrunner.stages.readers import forms, orientation
from floodrunner.stages.readers.forms import FileError, Form

CHANNELS = "a network takes one grey channel or RGB: save the one with the cells (Image > Color > Split Channels)"
"""What to do about a file with channels, for messages. The menu is that of Fiji."""

_LAYOUT = {
    256: "ImageWidth",
    257: "ImageLength",
    258: "BitsPerSample",
    259: "Compression",
    262: "PhotometricInterpretation",
    266: "FillOrder",
    273: "StripOffsets",
    277: "SamplesPerPixel",
    278: "RowsPerStrip",
    279: "StripByteCounts",
    284: "PlanarConfiguration",
    317: "Predictor",
    322: "TileWidth",
    323: "TileLength",
    324: "TileOffsets",
    325: "TileByteCounts",
    338: "ExtraSamples",
    339: "SampleFormat",
    347: "JPEGTables",
    530: "YCbCrSubSampling",
    32997: "ImageDepth",
}
"""Tags without which pixels would be read wrongly."""

_DESCRIPTION = 270
_INVERTED, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
_COLOUR_SPACES = {5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "raw camera", 32845: "LogLuv"}
_JPEG = (6, 7)
_RATIO = {1: 1, 5: 4096, 7: 2048, 8: 1100, 32946: 1100, 32773: 64, 34925: 65536, 50000: 32768}
"""For each compression the largest ratio, rounded up, of pixels to stored bytes: none, LZW, JPEG, Deflate (twice),
PackBits, LZMA, Zstandard."""

_RATIO_OF_OTHERS = 2**20

_LARGEST_TILE = 2**26
"""Largest number of pixels of a tile that is larger than its page."""


class Plain(NamedTuple):
    """Pixels that are stored uncompressed, row after row: their position in the file, shape and type."""

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Number of bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Page(NamedTuple):
    """What is known about a page before its pixels are decoded.

    Attributes:
      number: number of the page in the file, from 0.
      height, width: size in pixels, as `pixels` returns them.
      form: how the pixels are stored.
      orientation: 1 ... 8; `pixels` turns the pixels by it.
      signed: whether the numbers are stored 32768 too high, as ImageJ stores signed 16-bit numbers.
      plain: where in the file the pixels are, if they are stored uncompressed and row after row; otherwise None.
      reduced: whether the file calls the page a smaller copy of another one.
      remarks: as for `forms.Section`.
    """

    number: int
    height: int
    width: int
    form: Form
    orientation: int
    signed: bool
    plain: Plain | None
    reduced: bool
    remarks: tuple[str, ...]


def look(where: str | Path, page: tifffile.TiffPage, tags: frozenset[int], size: int, signed: bool) -> Page:
    """Reads the head of a page, and checks that the file can hold its pixels.

    Args:
      where: name of the file or page, for messages.
      page: the page.
      tags: numbers of all tags in the directory of the page.
      size: size of the file in bytes.
      signed: whether ImageJ says that 16-bit numbers are signed.

    Raises:
      InputError: if the page is damaged, or its pixels mean what no stage can use (channels, colours of other kinds).
    """
    lost = tags - {tag.code for tag in page.tags}
    if lost & _LAYOUT.keys():
        raise forms.damaged(where)
    shape = (page.imagelength, page.imagewidth)
    counts = (*shape, page.imagedepth, page.samplesperpixel, page.compression, page.photometric, page.predictor)
    if not all(isinstance(count, int) for count in counts) or page.planarconfig not in (1, 2):
        raise forms.damaged(where)
    if 0 in shape:
        raise FileError(where, f"has {shape[1]} x {shape[0]} pixels; export it again from its source")
    if page.imagedepth != 1:
        raise FileError(
            where, f"holds {page.imagedepth} sections in one page (ImageDepth); save it with one section in each page"
        )
    form, remarks = _form(where, page)
    _check_pixels(where, page, size)
    if lost:
        remarks += (_about_lost(lost),)
    turn = orientation.valid(page.tags.valueof(orientation.TAG))
    if form == Form(16) and signed:
        form = form._replace(type="signed")
    else:
        signed = False
    plain = None
    if page.is_final and page.planarconfig == 1 and page.dtype is not None:
        plain = Plain(page.dataoffsets[0], page.shape, page.dtype.newbyteorder(page.parent.byteorder))
    return Page(
        page.index,
        *orientation.size_of(*shape, turn),
        form,
        turn,
        signed,
        plain,
        bool(page.is_reduced),
        remarks + orientation.remarks(turn),
    )


def _about_lost(lost: frozenset[int]) -> str:
    tags = ", ".join(str(code) for code in sorted(lost)[:3])
    what = "the description" if _DESCRIPTION in lost else "what stands beside the pixels"
    return f"{what} cannot be read (tag {tags}), but the pixels can; in Fiji: File > Save As > Tiff writes a sound file"


def _form(where: str | Path, page: tifffile.TiffPage) -> tuple[Form, tuple[str, ...]]:
    """Returns the pixel form of a page, and remarks about it."""
    samples, photometric = page.samplesperpixel, page.photometric if 262 in page.tags else None
    remarks: tuple[str, ...] = ()
    if photometric in _COLOUR_SPACES:
        raise FileError(where, f"is a TIFF file with {_COLOUR_SPACES[photometric]} colours; save it as grey or RGB")
    if photometric == _YCBCR and page.compression not in _JPEG:
        raise FileError(where, "is a TIFF file with YCbCr colours; save it as grey or RGB")
    extra = samples - (3 if photometric in (_RGB, _YCBCR) else 1)
    if extra < 0:
        raise forms.damaged(where)
    alpha = extra == 1 and _is_alpha(page, colour=samples == 4)
    if extra == 2 and samples == 3 and page.planarconfig == 1:
        remarks = ("three samples are taken as red, green and blue, although the file does not call them so",)
    elif extra and not alpha:
        raise FileError(where, f"holds {samples} channels in one page{_or_sections(page)}; {CHANNELS}")
    elif samples > 1 and page.planarconfig == 2:  # what Python programs make of a stack of 3 or 4 sections
        remarks = (
            f"the {samples} planes are taken as the colours of one picture, as the file says; if they are sections, "
            "save it with one section in each page",
        )
    if page.dtype is None or page.dtype.kind == "c":
        bits = max(page.bitspersample) if isinstance(page.bitspersample, tuple) else page.bitspersample
        kind = "complex numbers" if page.sampleformat in (5, 6) else "numbers"
        raise FileError(where, f"stores {kind} of {bits} bits, which cannot be read; save it as 8- or 16-bit grey")
    form = forms.form_of(page.dtype, samples)
    if page.compression != 1 and page.compression not in tifffile.TIFF.DECOMPRESSORS:
        compression = getattr(page.compression, "name", page.compression)
        raise FileError(where, f"{form}, compressed as {compression}, cannot be read; save it without compression")
    if isinstance(page.bitspersample, int) and page.bitspersample not in (1, form.bits):
        highest = 2**page.bitspersample - 1
        remarks += (f"pixels have {page.bitspersample} bits, read as {form.bits}-bit numbers from 0 to {highest}",)
    if photometric == _PALETTE:
        form = form._replace(type="palette")
    elif photometric == _INVERTED:
        form = form._replace(type="inverted")
    return form, remarks


def _is_alpha(page: tifffile.TiffPage, colour: bool) -> bool:
    """Returns whether the last sample of a pixel is its opacity. Without the tag, RGB with a fourth sample is RGBA."""
    kinds = tuple(page.extrasamples) if isinstance(page.extrasamples, tuple) else (page.extrasamples,)
    return kinds[-1] in (1, 2) if kinds and 338 in page.tags else colour


def _or_sections(page: tifffile.TiffPage) -> str:
    """Says what samples in one page may be beside channels: some programs store sections as planes."""
    may_be = page.samplesperpixel > 4 or page.planarconfig == 2
    return " (if they are sections, save it with one section in each page)" if may_be else ""


def _check_pixels(where: str | Path, page: tifffile.TiffPage, size: int) -> None:
    """Rejects a page whose pixels the file does not or cannot hold, before memory is asked for.

    Raises:
      InputError: if parts of the pixels are missing, lie outside the file, or are too few for the size of the page.
    """
    offsets, counts = page.dataoffsets, page.databytecounts
    if not all(isinstance(number, int) for number in (*offsets, *counts)):
        raise forms.damaged(where)
    if page.is_contiguous:
        if offsets[0] + page.nbytes > size:
            raise forms.damaged(where)
        return
    parts = math.prod(page.chunked)
    if page.is_tiled and page.tilewidth * page.tilelength > max(_LARGEST_TILE, 4 * page.imagewidth * page.imagelength):
        raise forms.damaged(where)
    if len(offsets) < parts or len(counts) < parts:
        raise forms.damaged(where)
    empty = sum(not offset or not count for offset, count in zip(offsets[:parts], counts[:parts], strict=True))
    if empty:
        kind = "tiles" if page.is_tiled else "strips"
        raise FileError(
            where, f"has no pixels for {empty} of its {parts} {kind}; copy it again, or open it and save it again"
        )
    if any(offset + count > size for offset, count in zip(offsets[:parts], counts[:parts], strict=True)):
        raise forms.damaged(where)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else min(page.bitspersample)
    stored = page.imagewidth * page.imagelength * page.samplesperpixel * bits // 8
    ratio = _RATIO.get(int(page.compression), _RATIO_OF_OTHERS)
    if stored > ratio * (sum(counts[:parts]) + 64 * parts):
        raise forms.damaged(where)
