"""Reads and writes TIFF files of one page, and reads stacks of sections in one TIFF file."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from contract.stage import InputError
from segmentation.threads import processors
from stages.readers import forms
from stages.readers.forms import FileError, Form, Section
from stages.readers.stack import Read, Stack, gathered, uniform
from stages.storage.words import no_permission

_STRIP_BYTES = 2**18
_TALKS_OF_DAMAGE = "invalid|corrupt|failed"  # words in tifffile's warnings about damaged files
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "\\u00b5m": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6}


class _Warnings(logging.Handler):
    """Collects the warnings of tifffile, which only logs that a file is damaged and reads as much as it can."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def _open(file: Path) -> Iterator[tifffile.TiffFile]:
    """Opens a TIFF file and rejects a damaged one.

    Only for the main thread, because this listens to the log of tifffile, which all open files share.
    """
    logger, warnings = logging.getLogger("tifffile"), _Warnings()
    logger.addHandler(warnings)
    try:
        tiff = tifffile.TiffFile(file)
        count, _ = len(tiff.pages), tiff.series
    except PermissionError:
        raise no_permission(file) from None
    except MemoryError:
        raise
    except Exception as error:
        if not file.stat().st_size:
            raise FileError(file, "is empty; copy it again from its source") from None
        if str(error).startswith("not a TIFF file"):
            text = "is not a TIFF file, although its name says so; save it as TIFF, or copy it again"
            raise FileError(file, text) from None
        raise forms.damaged(file) from error
    finally:
        logger.removeHandler(warnings)
    with tiff:
        if not count or any(re.search(_TALKS_OF_DAMAGE, text) for text in warnings.said):
            raise forms.damaged(file)
        yield tiff


def pages(file: Path) -> int:
    """Returns the number of sections in a TIFF file. Above 4 GB, ImageJ writes all sections into one page."""
    with _open(file) as tiff:
        lead, _ = _axes(tiff.series[0])
        return max(len(tiff.pages), math.prod(lead))


def _axes(series: Any) -> tuple[tuple[int, ...], str]:
    """Returns lengths and letters of the axes other than y, x and samples, without axes of length 1."""
    lead = [
        (size, axis)
        for size, axis in zip(series.shape, series.axes, strict=True)
        if axis not in "YXS" and size > 1  # S: the samples of a pixel
    ]
    return tuple(size for size, _ in lead), "".join(axis for _, axis in lead)


def single_page(file: Path) -> Section:
    """Reads the size and pixel form of a TIFF file of one section.

    Raises:
      InputError: if the file is damaged, or has more than one page.
    """
    with _open(file) as tiff:
        if len(tiff.pages) > 1:
            raise FileError(
                file,
                f"holds {len(tiff.pages)} pages, among files of one section each; "
                "move it out of the folder, or name it alone as the stack",
            )
        return _section(file.name, tiff.pages[0])


def page_pixels(file: Path, form: Form) -> np.ndarray:
    """Decodes a TIFF file of one section.

    Returns:
      (y, x) or (y, x, samples), the values as stored.

    Raises:
      InputError: if the page is truncated or damaged, or its compression is not supported.
    """
    with tifffile.TiffFile(file) as tiff:
        return _pixels_of(tiff.pages[0], form, str(file))


def write_page(file: Path, pixels: np.ndarray) -> None:
    """Writes (y, x) or (y, x, 3) numbers as a TIFF file of one page, in strips that are compressed with zlib.

    Python's zlib compresses them: tifffile would use whatever library the installed imagecodecs brings, so the same
    pixels would give different files.

    Raises:
      OSError: if the file cannot be written.
    """
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    stored = np.packbits(pixels, axis=-1) if pixels.dtype == bool else pixels  # TIFF stores 8 bools in a byte
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)  # the byte order in tifffile's header
    strips = (zlib.compress(stored[y : y + rows].tobytes(), 6) for y in range(0, len(stored), rows))
    colour = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(
        file,
        strips,
        shape=pixels.shape,
        dtype=pixels.dtype.newbyteorder("="),
        rowsperstrip=rows,
        photometric=colour,
        compression="zlib",
        metadata=None,
    )


@contextlib.contextmanager
def open_tiff(file: Path) -> Iterator[Stack]:
    """Opens a TIFF file of many sections.

    Raises:
      InputError: if the file is damaged, its pages differ in size or form, or it also has channels or time points.
    """
    with _open(file) as tiff:
        yield _stack(file, tiff)


def _stack(file: Path, tiff: tifffile.TiffFile) -> Stack:
    if len(tiff.series) > 1:  # tifffile puts pages of the same size and type into one series
        heads = [_section(f"page {k}", page) for k, page in enumerate(tiff.pages, 1)]
        uniform(str(file), heads)
    series = tiff.series[0]
    lead, letters = _axes(series)
    if len(lead) != 1 or letters == "C":
        raise InputError(
            f"{file}: holds {' x '.join(str(n) for n in lead)} pictures (axes {letters}); a stack has one axis of "
            "sections; save one channel and one time point of the file"
        )
    head = _section(file.name, series.keyframe)
    count = lead[0]
    names = tuple(f"{file} page {k}" for k in range(1, count + 1))
    if series.dataoffset is not None and head.form.samples == 1:
        reads = _mapped(file, tiff, series, (count, head.height, head.width))
        threads = min(processors(), 4)
    else:
        pages = [page for page in series.pages if page is not None]
        if len(pages) != count:
            raise InputError(
                f"{file}: holds {count} sections in {len(pages)} pages; save it with one section in each page"
            )

        def reads() -> Iterator[Read]:
            for page, name in zip(pages, names, strict=True):
                yield lambda page=page, name=name: _pixels_of(page, head.form, name)  # type: ignore[misc]

        threads = 1  # all pages are read through one file handle

    return Stack(
        str(file),
        (count, head.height, head.width),
        head.form,
        names,
        files=None,
        voxel_size_xyz=_voxel_size(tiff),
        offset_xyz=(0, 0, 0),
        reads=reads,
        threads=threads,
        remarks=gathered([head]),
    )


def _mapped(
    file: Path, tiff: tifffile.TiffFile, series: Any, shape: tuple[int, int, int]
) -> Callable[[], Iterator[Read]]:
    """Reads, by memory map, sections that are stored one after the other without compression."""
    dtype = series.dtype.newbyteorder(tiff.byteorder)
    if series.dataoffset + math.prod(shape) * dtype.itemsize > file.stat().st_size:
        raise forms.damaged(file)
    pixels = np.memmap(file, dtype, "r", series.dataoffset, shape)
    return lambda: (lambda section=section: np.array(section) for section in pixels)  # type: ignore[misc]


def _voxel_size(tiff: tifffile.TiffFile) -> tuple[float, float, float] | None:
    """Returns the voxel size x, y, z in nm; None unless ImageJ or OME metadata give it.

    The resolution tag alone is not used, because most programs write 72 dpi, whatever the true pixel size is.
    """
    if tiff.is_imagej:
        data = tiff.imagej_metadata or {}
        scale = _NM.get(str(data.get("unit", "")).strip().lower())
        tags = tiff.series[0].keyframe.tags
        if scale is None or "spacing" not in data or "XResolution" not in tags or "YResolution" not in tags:
            return None
        (nx, dx), (ny, dy) = tags["XResolution"].value, tags["YResolution"].value
        if not (nx and dx and ny and dy and data["spacing"] > 0):
            return None
        x, y, z = dx / nx, dy / ny, float(data["spacing"])
        return round(x * scale, 6), round(y * scale, 6), round(z * scale, 6)
    if tiff.is_ome and tiff.ome_metadata:
        sizes = []
        for axis in "XYZ":
            found = re.search(rf'PhysicalSize{axis}="([^"]+)"', tiff.ome_metadata)
            unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', tiff.ome_metadata)
            scale = _NM.get(unit[1].lower() if unit else "µm")
            if found is None or scale is None or not float(found[1]) > 0:
                return None
            sizes.append(round(float(found[1]) * scale, 6))
        return sizes[0], sizes[1], sizes[2]
    return None


def _section(name: str, page: Any) -> Section:
    """Returns the name, size and pixel form of a page of a `tifffile.TiffFile`."""
    page = page.keyframe
    if page.dtype is None:
        form = Form(page.bitspersample, page.samplesperpixel, "oddly stored")
    else:
        form = forms.form_of(page.dtype, page.samplesperpixel)
    if page.photometric == 3:
        form = form._replace(type="palette")
    elif page.photometric == 0:
        form = form._replace(type="inverted")
    return Section(name, page.imagelength, page.imagewidth, form)


def _pixels_of(page: Any, form: Form, where: str) -> np.ndarray:
    """Decodes a page of a TIFF file: (y, x) or (y, x, samples).

    Raises:
      InputError: if the page is truncated or damaged, or its compression is not supported; `where` names the page.
    """
    try:
        pixels = page.asarray()
    except MemoryError:
        raise
    except Exception as error:  # for a damaged page tifffile and imagecodecs may raise almost anything
        if "not supported" in str(error):
            compression = getattr(page.keyframe.compression, "name", page.keyframe.compression)
            text = f"{where}: {form}, compressed as {compression}, cannot be read; save it without compression"
            raise InputError(text) from None
        raise forms.damaged(where) from error
    planar = form.samples > 1 and page.keyframe.planarconfig == 2
    return np.moveaxis(pixels, 0, -1) if planar else pixels
