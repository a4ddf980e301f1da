"""`read`, `read_pictures` and `write`: what is written is read again; what cannot be is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import floodrunner
from floodrunner import InputError, Volume
from floodrunner.stages.storage.image_sets import Picture, write_set
from floodrunner.stages.storage.volumes import Place, open_volume, write_volume

GREY = np.random.default_rng(1).integers(0, 256, (3, 20, 24)).astype(np.uint8)
SIZE = (4.0, 4.0, 30.0)


@pytest.mark.parametrize("name", ["a.h5", "a.tif", "new/folder"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32])
def test_what_is_written_is_read_again(name: str, dtype: type, tmp_path: Path) -> None:
    array = GREY.astype(dtype) * (1 if dtype == np.uint8 else 200)
    path = floodrunner.write(tmp_path / name, array, SIZE)
    found = floodrunner.read(path)
    np.testing.assert_array_equal(found.array, array)
    assert found.voxel_size_xyz == (None if name == "new/folder" else pytest.approx(SIZE))
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    if name != "new/folder":
        assert found.array.dtype == dtype


def test_floats_and_an_offset_are_kept(tmp_path: Path) -> None:
    part = Volume(GREY.astype(np.float32) / 7, SIZE, (5, 6, 7))
    found = floodrunner.read(floodrunner.write(tmp_path / "a.h5", part))
    np.testing.assert_array_equal(found.array, part.array)
    assert (found.voxel_size_xyz, found.offset_xyz) == (SIZE, (5, 6, 7))


@pytest.mark.parametrize(
    ("dtype", "labels", "name"), [(np.uint8, None, "/raw"), (np.int64, None, "/labels"), (np.uint8, True, "/labels")]
)
def test_ids_and_greys_get_their_own_name_in_hdf5(dtype: type, labels: bool | None, name: str, tmp_path: Path) -> None:
    with open_volume(floodrunner.write(tmp_path / "a.h5", GREY.astype(dtype), labels=labels)) as volume:
        assert volume.name == name


def test_fiji_finds_sections_and_their_size(tmp_path: Path) -> None:
    with tifffile.TiffFile(floodrunner.write(tmp_path / "a.tif", GREY, SIZE)) as file:
        assert file.is_imagej
        assert file.imagej_metadata is not None
        told = {name: file.imagej_metadata[name] for name in ("images", "slices", "unit", "spacing")}
        assert told == {"images": 3, "slices": 3, "unit": "micron", "spacing": 0.03}
        assert len(file.pages) == 3
        np.testing.assert_array_equal(file.asarray(), GREY)


def test_colours_are_a_picture_or_sections_in_colour(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (2, 20, 24, 3)).astype(np.uint8)
    np.testing.assert_array_equal(floodrunner.read(floodrunner.write(tmp_path / "a", colours)).array, colours)
    np.testing.assert_array_equal(floodrunner.read(floodrunner.write(tmp_path / "a.tif", colours)).array, colours)
    (picture,) = floodrunner.read_pictures(floodrunner.write(tmp_path / "a.png", colours[0]))
    assert picture.name == "a"
    np.testing.assert_array_equal(picture.image, colours[0])
    with pytest.raises(InputError, match=r"uint16 \(2, 20, 24, 3\); colours are \(z, y, x, 3\) uint8"):
        floodrunner.write(tmp_path / "b.tif", colours.astype(np.uint16))
    thin = Volume(np.ascontiguousarray(GREY[..., :3]), SIZE)  # three voxels wide, not colours
    np.testing.assert_array_equal(floodrunner.read(floodrunner.write(tmp_path / "thin.tif", thin)).array, thin.array)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = floodrunner.write(tmp_path / "a.h5", GREY)
    with pytest.raises(InputError, match=r"a.h5: exists already; choose another name, or add overwrite=True$"):
        floodrunner.write(path, GREY[:1])
    assert len(floodrunner.read(path).array) == 3
    floodrunner.write(path, GREY[:1], overwrite=True)
    assert len(floodrunner.read(path).array) == 1
    folder = floodrunner.write(tmp_path / "sections", GREY)
    with pytest.raises(InputError, match=r"sections: exists already; choose another name$"):
        floodrunner.write(folder, GREY, overwrite=True)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("a.jpg", GREY, "no format for an array of shape"),
        ("a.png", GREY, "no format for an array of shape"),
        ("a.h5", GREY[0], r"HDF5 takes volumes \(z, y, x\)"),
        ("a", GREY.astype(np.uint32) * 70_000, r"PNG takes whole numbers of 0 to 65535"),
        ("a", GREY / 255, "PNG takes whole numbers of 0 to 65535, and the array is float64"),
        ("a.tif", GREY > 3, r"the array is bool \(3, 20, 24\)"),
        ("a.tif", GREY[:0], r"the array is uint8 \(0, 20, 24\)"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name: str, array: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        floodrunner.write(tmp_path / name, array)
    assert not list(tmp_path.iterdir())


def test_what_readers_remark_is_a_warning_at_the_callers_line(tmp_path: Path) -> None:
    floodrunner.write(tmp_path / "a", GREY)
    (tmp_path / "a" / "z0001.png").rename(tmp_path / "a" / "z0007.png")
    with pytest.warns(UserWarning, match="section numbers are missing: 2 follows 0, and 1 more gap") as seen:
        floodrunner.read(tmp_path / "a")
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        floodrunner.read(floodrunner.write(tmp_path / "whole", GREY))


def test_what_is_no_stack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing: no such file or folder"):
        floodrunner.read(tmp_path / "nothing")
    with pytest.raises(InputError, match="is one section"):
        floodrunner.read(floodrunner.write(tmp_path / "one.png", GREY[0]))
    (tmp_path / "palette").mkdir()
    Image.fromarray(GREY[0]).convert("P").save(tmp_path / "palette" / "z0.png")
    with pytest.raises(InputError, match="palette; save them as grey"):
        floodrunner.read(tmp_path / "palette")


def test_pictures_of_a_folder_and_of_a_set(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    floodrunner.write(tmp_path / "p" / "b10.png", GREY[0])
    floodrunner.write(tmp_path / "p" / "b9.tif", GREY[1, :9], (500, 500, 1))
    found = floodrunner.read_pictures(tmp_path / "p")
    assert [(each.name, each.image.shape) for each in found] == [("b9", (9, 24)), ("b10", (20, 24))]
    assert found[0].pixel_size_xy == pytest.approx((500, 500))
    write_set(tmp_path / "set.h5", [Picture("x", GREY[0], GREY[1].astype(np.int32))])
    with pytest.raises(
        InputError, match=r"set.h5: is a set of pictures, not a stack; floodrunner.read_pictures reads it"
    ):
        floodrunner.read(tmp_path / "set.h5")
    (one,) = floodrunner.read_pictures(tmp_path / "set.h5")
    np.testing.assert_array_equal(one.labels, GREY[1])  # type: ignore[arg-type]


def test_one_volume_of_several_in_a_file(tmp_path: Path) -> None:
    import h5py

    write_volume(tmp_path / "a.h5", "image", GREY, Place(SIZE))
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["other"] = GREY[::-1]
    np.testing.assert_array_equal(floodrunner.read(f"{tmp_path}/a.h5:other").array, GREY[::-1])
