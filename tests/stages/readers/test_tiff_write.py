"""TIFF files that are written: the length of their pixels comes back, in our reader and in others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from floodrunner.stages.readers import tiff
from floodrunner.stages.readers.sections import open_stack
from floodrunner.stages.readers.tiff_write import write_page

GREY = np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
SIZES = [(4.0, 4.0, 30.0), (3.7, 3.9, 33.3), (324.123456, 324.123456, 1000.0), (0.05, 0.05, 1.0), (1e6, 1e6, 1e6)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32])
def test_a_voxel_size_comes_back(tmp_path: Path, size: tuple[float, float, float], dtype: type) -> None:
    for k in range(2):
        write_page(tmp_path / f"z{k}.tif", GREY.astype(dtype), size)
    with open_stack(str(tmp_path)) as stack:
        assert stack.voxel_size_xyz == size
        assert stack.remarks == ()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "z0.tif"), GREY)


def test_fiji_finds_the_unit(tmp_path: Path) -> None:
    write_page(tmp_path / "a.tif", np.stack([GREY] * 3, axis=-1), (4.0, 5.0, 30.0))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "micron"
        assert file.imagej_metadata["spacing"] == pytest.approx(0.03)
        page = file.pages.first
        assert page.resolution == (250, 200)
        assert page.resolutionunit == 1  # none: neither inch nor cm, which would be the resolution of a printer


def test_pixels_without_a_spacing(tmp_path: Path) -> None:
    write_page(tmp_path / "a.tif", GREY, (500.0, 250.0))
    head = tiff.single_page(tmp_path / "a.tif")
    assert (head.pixel_size_xy, head.spacing) == ((500.0, 250.0), None)


def test_nothing_is_written_if_nothing_is_known(tmp_path: Path) -> None:
    write_page(tmp_path / "a.tif", GREY)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not file.is_imagej
    assert tiff.single_page(tmp_path / "a.tif").pixel_size_xy is None


def test_sections_that_differ_in_size_give_none(tmp_path: Path) -> None:
    write_page(tmp_path / "z0.tif", GREY, (4.0, 4.0, 30.0))
    for other in ((8.0, 8.0, 30.0), None):
        write_page(tmp_path / "z1.tif", GREY, other)
        with open_stack(str(tmp_path)) as stack:
            assert stack.voxel_size_xyz is None
            (remark,) = stack.remarks
            assert remark == (
                f"{tmp_path}: the sections give different voxel sizes, or some give none: they are not used"
            )
