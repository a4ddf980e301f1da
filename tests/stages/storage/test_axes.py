"""The axes of HDF5 datasets, as ilastik, vigra, NetCDF and others name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.stages.storage.volumes import open_volume
from tests.stages.hdf5_files import TRUTH, arranged, axistags, read, refusal, remarks

ILASTIK = "in ilastik: Export Image Settings > Transpose to Axis Order zyx"


@pytest.mark.parametrize("chunked", [True, None])
@pytest.mark.parametrize("axes", ["zyx", "xyz", "yxz", "zxy", "zyxc", "czyx", "tzyxc", "txyzc", "cxtzy"])
def test_axistags_say_what_the_axes_are(file: Callable[..., Path], axes: str, chunked: bool | None) -> None:
    path = file(arranged(axes), "exported_data", {"chunks": chunked}, axistags=axistags(axes))
    np.testing.assert_array_equal(read(path), TRUTH)
    with open_volume(path) as volume:
        assert (volume.shape, len(volume), volume.dtype) == (TRUTH.shape, 4, np.uint8)
        for box in (np.s_[2], np.s_[1:3], np.s_[..., 1:2, 3][1:], np.s_[1:3, 2, 1:5], np.s_[0, 1, 2], np.s_[...], ()):
            np.testing.assert_array_equal(volume[box], TRUTH[box])
    order = [axis for axis in axes if axis in "zyx"]
    assert bool(remarks(path)) == (order != ["z", "y", "x"])


def test_a_transposed_volume_is_told_with_its_size(file: Callable[..., Path]) -> None:
    path = file(arranged("xyz"), "exported_data", axistags=axistags("xyz"))
    assert remarks(path) == [
        "the axes of dataset exported_data are x, y, z (attribute axistags): read as 4 sections of 6 x 5 pixels (x, y)"
    ]


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (1, 4, 5, 6, 1), (1, 4, 5, 6), (4, 1, 5, 6), (1, 1, 4, 5, 6)])
def test_axes_of_length_1_are_left_out(file: Callable[..., Path], shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(read(file(TRUTH.reshape(shape))), TRUTH)


@pytest.mark.parametrize("shape", [(1, 1, 5, 6), (1, 5, 6, 1), (1, 5, 6)])
def test_one_section_is_a_volume(file: Callable[..., Path], shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(read(file(TRUTH[0].reshape(shape))), TRUTH[:1])


@pytest.mark.parametrize("labels", ["x y z", "X Y Z", "width height depth", "scales"])
def test_dimension_labels_and_scales_name_axes_too(file: Callable[..., Path], labels: str) -> None:
    path = file(arranged("xyz"))
    with h5py.File(path, "r+") as out:
        for number, axis in enumerate("xyz"):
            if labels == "scales":  # as NetCDF has them
                out[axis] = np.arange(out["raw"].shape[number])
                out[axis].make_scale()
                out["raw"].dims[number].attach_scale(out[axis])
            else:
                out["raw"].dims[number].label = labels.split()[number]
    np.testing.assert_array_equal(read(path), TRUTH)
    assert "are x, y, z (dimension labels): read as 4 sections of 6 x 5" in remarks(path)[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DIMENSION_LABELS", [1, 2, 3]),
        ("DIMENSION_LABELS", np.full((3, 3), -(2**63))),
        ("DIMENSION_LABELS", "z"),
        ("DIMENSION_LIST", [7, 8, 9]),
        ("DIMENSION_LIST", h5py.Empty("f4")),
    ],
)
def test_damaged_labels_of_dimensions_are_left_out(file: Callable[..., Path], name: str, value: object) -> None:
    """The HDF5 library takes what stands there for addresses, and would end this process."""
    path = file(TRUTH)
    with h5py.File(path, "r+") as out:
        out["raw"].attrs[name] = value
    assert remarks(path) == ["its dimension labels are damaged, so its axes are taken as z, y, x"]
    np.testing.assert_array_equal(read(path), TRUTH)


def test_an_empty_attribute_is_none(file: Callable[..., Path]) -> None:
    path = file(TRUTH)
    with h5py.File(path, "r+") as out:
        out["raw"].attrs["voxel_size_xyz"] = h5py.Empty("f8")
    np.testing.assert_array_equal(read(path), TRUTH)


def test_labels_that_name_no_axes_are_told(file: Callable[..., Path]) -> None:
    path = file(TRUTH)
    with h5py.File(path, "r+") as out:
        out["raw"].dims[0].label = "slow"
    assert remarks(path) == ["its dimension labels (slow, none, none) are not known, so its axes are taken as z, y, x"]
    np.testing.assert_array_equal(read(path), TRUTH)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((2, 4, 5, 6), "czyx", "2 channels; a volume has one: save one as (z, y, x)"),
        ((3, 4, 5, 6, 2), "tzyxc", "3 points in time and 2 channels; a volume has one: save one as (z, y, x)"),
        ((4, 5, 6, 2), "tyxc", "2 channels; a volume has one"),
        ((1, 5, 6), "cyx", "a volume has z, y and x"),
        ((4, 5, 6), "zy", "which do not fit each other; correct or remove them"),
        ((4, 5, 6), "zyy", "which do not fit each other; correct or remove them"),
    ],
)
def test_axes_that_are_no_volume_are_refused(
    file: Callable[..., Path], shape: tuple[int, ...], axes: str, words: str
) -> None:
    path = file(np.zeros(shape, np.uint8), "exported_data", axistags=axistags(axes))
    text = refusal(path)
    assert text == refusal(f"{path}:exported_data").removeprefix(f"{path}: ")
    assert text.startswith(f"dataset exported_data has the axes {', '.join(axes)} of lengths {shape}")
    assert words in text
    assert (ILASTIK in text) == ("fit" not in words)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"axes": 3}', '{"axes": [{"key": "q"}]}', "[" * 100_000, 7, b"\xff"], ids=range(8)
)
def test_axistags_that_cannot_be_read_are_refused(file: Callable[..., Path], text: Any) -> None:
    with h5py.File(path := file(TRUTH), "r+") as out:
        if isinstance(text, str) and len(text) > 60_000:
            text = text[:60_000]
        out["raw"].attrs["axistags"] = np.bytes_(text) if isinstance(text, bytes) else text
    assert refusal(path).startswith("attribute axistags of dataset /raw is ")


@pytest.mark.parametrize(
    ("axes", "array"),
    [("tyx", TRUTH), ("tyxc", TRUTH[..., None]), ("tzyxc", TRUTH[:, None, ..., None]), ("xyt", TRUTH.T)],
)
def test_time_is_the_axis_of_sections_where_there_is_no_z(
    file: Callable[..., Path], axes: str, array: np.ndarray
) -> None:
    """ilastik takes the pages of a TIFF for points in time."""
    path = file(array, "exported_data", axistags=axistags(axes))
    np.testing.assert_array_equal(read(path), TRUTH)
    assert remarks(path)[0] == (
        "the axis t (time) of dataset exported_data is taken as the axis of sections (attribute axistags)"
    )


def test_time_as_a_dimension_label_is_the_axis_of_sections(file: Callable[..., Path]) -> None:
    with h5py.File(path := file(TRUTH), "r+") as out:
        for number, label in enumerate(("time", "y", "x")):
            out["raw"].dims[number].label = label
    np.testing.assert_array_equal(read(path), TRUTH)
    assert remarks(path) == ["the axis t (time) of dataset raw is taken as the axis of sections (dimension labels)"]


@pytest.mark.parametrize("shape", [(70, 64, 3), (70, 64, 1), (70, 64, 4), (1, 70, 64, 3), (70, 64, 1, 2)])
def test_pictures_with_colours_are_no_volume(file: Callable[..., Path], shape: tuple[int, ...]) -> None:
    path = file(np.ones(shape, np.uint8))
    colours = shape[-1]
    assert refusal(path) == (
        f"dataset raw has the shape {shape}, which looks like a picture of 64 x 70 pixels with {colours} colour(s), "
        f"not like 70 sections that are {colours} wide; save grey values as (z, y, x), one section as (1, 70, 64); if "
        "these are sections, label the dimensions z, y, x"
    )
    with h5py.File(path, "r+") as out:
        for number, label in enumerate("tczyx"[-len(shape) :] if shape[-2] != 1 else "zycx"):
            out["raw"].dims[number].label = label
    assert read(path).shape == (70, 64, colours)


@pytest.mark.parametrize("shape", [(70, 64, 5), (3, 70, 64), (70, 63, 3)])
def test_thin_volumes_are_volumes(file: Callable[..., Path], shape: tuple[int, ...]) -> None:
    assert read(file(np.ones(shape, np.uint8))).shape == shape


def test_four_long_axes_without_names_are_refused_with_their_lengths(file: Callable[..., Path]) -> None:
    path = file(np.zeros((2, 4, 5, 6), np.uint8))
    assert refusal(path) == (
        "dataset raw has 4 axes, (2, 4, 5, 6); a volume has three, (z, y, x): save the part you mean as a dataset of "
        f"its own ({ILASTIK})"
    )
    with h5py.File(path, "r+") as out:
        out["more"] = np.zeros((2, 4, 5, 7), np.uint8)
    assert refusal(path) == (
        "holds no 3D dataset (datasets: more (2, 4, 5, 7), raw (2, 4, 5, 6)); give a file with one, (z, y, x) "
        f"({ILASTIK})"
    )
