"""JPEG files that cannot be used, and what is said about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodrunner.stages.readers import jpeg
from floodrunner.stages.readers.forms import FileError, Form

RNG = np.random.default_rng(4)


def problem(file: Path) -> str:
    with pytest.raises(FileError) as caught:
        jpeg.pixels(file, jpeg.head(file).form)
    assert str(caught.value) == f"{file}: {caught.value.problem}"
    return caught.value.problem


def test_a_jpeg_for_printers_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (30, 20)).save(tmp_path / "a.jpeg")
    assert problem(tmp_path / "a.jpeg") == "is a JPEG file with CMYK colours; save it as grey or RGB, preferably as PNG"


def test_files_that_are_no_jpeg_or_no_whole_one(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(RNG.integers(0, 256, (64, 64), np.uint8)).save(file)
    whole = file.read_bytes()
    start = whole.index(b"\xff\xc0")
    twelve_bits = whole[: start + 4] + b"\x0c" + whole[start + 5 :]
    unreadable = "is damaged, or a JPEG that cannot be read (12 bits, lossless); copy it again, or save it as PNG"
    for data, words in (
        (b"", "is empty; copy it again from its source"),
        (b"GIF89a" * 9, "is not a JPEG file, although its name says so; copy it again from its source"),
        (whole[:20], unreadable),
        (twelve_bits, unreadable),
        (whole[: len(whole) // 2], "is truncated or damaged; copy it again from its source"),
    ):
        file.write_bytes(data)
        assert problem(file) == words


def test_a_size_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(file)
    data = bytearray(file.read_bytes())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = b"\xff\x00\xff\x00"
    file.write_bytes(data)
    assert problem(file) == "is truncated or damaged; copy it again from its source"


@pytest.mark.parametrize("options", [{"quality": 1}, {"progressive": True, "quality": 1}, {"optimize": True}])
def test_an_even_picture_is_none_of_these(tmp_path: Path, options: dict[str, object]) -> None:
    """It compresses as no other does."""
    Image.new("RGB", (2000, 2000)).save(tmp_path / "a.jpg", **options)
    assert jpeg.head(tmp_path / "a.jpg").form == Form(8, 3)


def test_damaged_exif_data_are_no_reason_to_refuse(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "a.jpg", exif=b"Exif\0\0 no TIFF header")
    head = jpeg.head(tmp_path / "a.jpg")
    assert (head.height, head.width, head.remarks) == (20, 30, ())
