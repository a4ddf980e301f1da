"""Sections that are stored as several tiles each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.sections import open_stack

WHOLE = np.random.default_rng(3).integers(0, 2**16, (3, 20, 31), np.uint16)
SAVE = {".png": lambda path, pixels: Image.fromarray(pixels).save(path), ".tif": tifffile.imwrite}


def tiles(folder: Path, name: str, ys: list[int], xs: list[int], suffix: str = ".png") -> Path:
    """Writes the parts of `WHOLE` that begin at these places; `name` takes z, the indices y, x and the places y, x."""
    folder.mkdir()
    for z, section in enumerate(WHOLE):
        for i, (y, y_end) in enumerate(zip(ys, [*ys[1:], 20], strict=True)):
            for j, (x, x_end) in enumerate(zip(xs, [*xs[1:], 31], strict=True)):
                part = section[y:y_end, x:x_end]
                SAVE[suffix](folder / (name.format(z=z, i=i, j=j, y=y, x=x) + suffix), part)
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught, open_stack(str(path)):
        pass
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("name", ["em_s{z:04d}_Y{i}_X{j}", "z{z}_tile_x{x}_y{y}", "r{i}c{j}_{z}"])
def test_tiles_are_put_together(tmp_path: Path, name: str, suffix: str) -> None:
    folder = tiles(tmp_path / "em", name, [0, 12], [0, 12, 24], suffix)
    with open_stack(str(folder)) as stack:
        np.testing.assert_array_equal(np.stack(list(stack.sections(lambda pixels, _: pixels))), WHOLE)
        first = name.format(z=0, i=0, j=0, y=0, x=0) + suffix
        assert stack.remarks == (
            f"{folder}: 18 tiles are put together, 3 x 2 (x, y) in each section of 31 x 20; {first} is at the upper "
            "left",
        )
        assert stack.files == tuple(name.format(z=z, i=0, j=0, y=0, x=0) + suffix for z in range(3))


def test_tiles_of_one_section(tmp_path: Path) -> None:
    folder = tiles(tmp_path / "em", "z{z}_Y{i}_X{j}", [0], [0, 12])
    for file in folder.iterdir():
        if not file.name.startswith("z1"):
            file.unlink()
    with open_stack(str(folder)) as stack:
        assert stack.shape == (1, 20, 31)
        assert "1 section (z1_Y0_X0.png) of 31 x 20" in str(stack)


def test_tiles_that_overlap_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "em"
    folder.mkdir()
    for x in (0, 480):
        Image.fromarray(np.zeros((8, 512), np.uint8)).save(folder / f"z0_x{x}_y0.png")
    assert refusal(folder) == (
        f"{folder}: tiles of column 0 are followed by column 480, but are 512 pixels long: neither the next column nor "
        "the place where they end; name the tiles by row and column, without gaps, and cut off overlaps (in Fiji: "
        "Plugins > Stitching)"
    )


def test_tiles_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = tiles(tmp_path / "em", "s{z}_Y{i}_X{j}", [0, 12], [0, 12])
    Image.fromarray(np.zeros((9, 12), np.uint16)).save(folder / "s1_Y1_X0.png")
    assert refusal(folder) == (
        f"{folder}: tile s1_Y1_X0.png is 12 x 9 pixels, but the others of its row and column are 12 x 8; tiles must "
        "not overlap or leave gaps"
    )
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(folder / "s1_Y1_X0.png")
    assert "s1_Y1_X0.png is 8-bit grey, but 11 of the 12 sections are 16-bit grey" in refusal(folder)
