"""PNG files whose pixels mean something else than they seem to, or that promise more than they hold."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from floodrunner.stages.readers import files, png
from floodrunner.stages.readers.forms import FileError
from tests.stages.readers.test_sections import raw_png

RNG = np.random.default_rng(4)


def problem(file: Path) -> str:
    with pytest.raises(FileError) as caught:
        png.pixels(file, png.head(file).form)
    return caught.value.problem


def exif(orientation: int) -> bytes:
    data = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 274, 3, 1, orientation, 0, 0)
    return struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))


def test_an_orientation_behind_the_pixels_is_not_passed_over(tmp_path: Path) -> None:
    """A head that is read quickly does not see it."""
    file = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 256, (20, 30), np.uint8)).save(file)
    data = file.read_bytes()
    file.write_bytes(data[:-12] + exif(6) + data[-12:])
    assert problem(file) == "has its orientation behind its pixels, where some miss it; open it and save it again"
    file.write_bytes(data[:33] + exif(6) + data[33:])
    assert (png.head(file).height, png.head(file).width) == (30, 20)


def test_an_animation_is_several_pictures(tmp_path: Path) -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (20, 30), np.uint8)) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert problem(tmp_path / "a.png") == "is an animation of 3 pictures; save each of them as a file"


def test_a_size_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    raw_png(tmp_path / "a.png", 8, 0, 200_000, [bytes(10)] * 2)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[20:24] = (200_000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    assert problem(tmp_path / "a.png") == "is truncated or damaged; copy it again from its source"


def test_long_texts_beside_the_pixels_are_no_reason_to_refuse(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("history", "x" * 3_000_000, zip=True)
    array = RNG.integers(0, 256, (20, 30), np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png", pnginfo=texts)
    np.testing.assert_array_equal(files.read(tmp_path / "a.png", files.head(tmp_path / "a.png").form), array)


def test_a_chunk_longer_than_the_file_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(RNG.integers(0, 256, (20, 30), np.uint8)).save(file)
    data = bytearray(file.read_bytes())
    assert data[37:41] == b"IDAT"
    data[33:37] = (2**31 - 1).to_bytes(4, "big")
    file.write_bytes(data)
    with pytest.raises(FileError, match="is truncated or damaged"):
        png.head(file)
