"""HDF5 files as other programs write them: what their metadata means, and where HDF5 reads zeros without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from contract.stage import InputError
from stages.readers.sections import open_stack
from stages.storage.volumes import open_volume, read_volume

Z, Y, X = np.mgrid[:4, :5, :6]
TRUTH = (X + 6 * Y + 30 * Z).astype(np.uint8)
ILASTIK = "in ilastik: Export Image Settings > Transpose to Axis Order zyx"


def read(path: Path | str) -> np.ndarray:
    with open_stack(str(path)) as stack:
        return np.stack(list(stack.sections(lambda pixels, _: pixels)))


def remarks(path: Path | str) -> list[str]:
    with open_stack(str(path)) as stack:
        return [remark.removeprefix(f"{path}: ") for remark in stack.remarks]


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file with one dataset and its attributes."""

    def make(data: Any, name: str = "raw", options: dict[str, Any] | None = None, **attributes: Any) -> Path:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as out:
            dataset = out.create_dataset(name, data=data, **(options or {}))
            dataset.attrs.update(attributes)
        return path

    return make


def axistags(axes: str) -> str:
    return json.dumps({"axes": [{"key": key, "typeFlags": 2, "resolution": 0, "description": ""} for key in axes]})


# Axes


def arranged(axes: str) -> np.ndarray:
    """The volume with its axes in this order; axes that are not z, y, x have length 1."""
    wide = TRUTH[None, None]
    return wide.transpose(["tczyx".index(axis) for axis in axes] + [k for k, a in enumerate("tczyx") if a not in axes])[
        (...,) + (0,) * (5 - len(axes))
    ]


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


# Voxel size and offset


CREMI = {"resolution": (40, 4, 4)}
OURS = {"voxel_size_xyz": (1.0, 2.0, 3.0), "offset_xyz": (1, 2, 3)}


@pytest.mark.parametrize(
    ("attributes", "size", "offset", "said"),
    [
        (CREMI, (4.0, 4.0, 40.0), (0, 0, 0), "4 x 4 x 40 nm (x, y, z), from the attribute resolution (z, y, x in nm)"),
        (
            {"element_size_um": (0.235, 0.15, 0.14)},
            (140.0, 150.0, 235.0),
            (0, 0, 0),
            "140 x 150 x 235 nm (x, y, z), from the attribute element_size_um (z, y, x in µm)",
        ),
        (
            {**CREMI, "offset": (1480.0, 3644.0, 3648.0)},
            (4.0, 4.0, 40.0),
            (912, 911, 37),
            "its corner is at voxel 912, 911, 37 (x, y, z), from the attribute offset (z, y, x in nm), [1480.0, 36",
        ),
        (
            {**CREMI, "offset": (-40, 0, 6)},
            (4.0, 4.0, 40.0),
            (2, 0, -1),
            "which is not a multiple of the voxel size: it is rounded",
        ),
        ({**CREMI, "offset": (0, 0, 0)}, (4.0, 4.0, 40.0), (0, 0, 0), "4 x 4 x 40 nm"),
        ({"resolution": 300}, None, (0, 0, 0), "its attribute resolution is 300, which cannot be a voxel size"),
        ({"resolution": (0.04, 0.004, 0.004)}, None, (0, 0, 0), "[0.04, 0.004, 0.004], which cannot be a voxel size"),
        ({"offset": (40, 0, 0)}, None, (0, 0, 0), "is [40, 0, 0]; without a voxel size, it is not used"),
        ({**OURS, **CREMI, "offset": (9, 9, 9)}, (1.0, 2.0, 3.0), (1, 2, 3), None),
        (
            {"resolution": (4, 4, 30), "offset": (0, 0, 60)},
            None,
            (0, 0, 0),
            "its attribute resolution is [4, 4, 30], which looks like x, y, z: as z, y, x in nm, voxels would be 30 x "
            "4 x 4 nm (x, y, z); it is not used: set voxel_size_xyz, perhaps to [4, 4, 30]",
        ),
        (
            {"element_size_um": (0.01, 0.01, 0.05)},
            None,
            (0, 0, 0),
            "looks like x, y, z: as z, y, x in µm, voxels would be 50 x 10 x 10 nm (x, y, z); it is not used: set "
            "voxel_size_xyz, perhaps to [10, 10, 50]",
        ),
        ({"resolution": (8, 8, 8)}, (8.0, 8.0, 8.0), (0, 0, 0), "the voxel size is 8 x 8 x 8 nm"),
        ({"resolution": (30, 5, 4)}, (4.0, 5.0, 30.0), (0, 0, 0), "the voxel size is 4 x 5 x 30 nm"),
    ],
)
def test_voxel_size_and_offset_of_other_programs(
    file: Callable[..., Path], attributes: dict[str, Any], size: Any, offset: Any, said: str | None
) -> None:
    path = file(TRUTH, **attributes)
    with open_stack(str(path)) as stack:
        assert (stack.voxel_size_xyz, stack.offset_xyz) == (size, offset)
    assert said in "; ".join(remarks(path)) if said else not remarks(path)


@pytest.mark.parametrize(
    ("axes", "resolution", "offset"),
    [
        ("xyz", (4, 5, 30), (8, 0, 30)),
        ("xyz", (4, 4, 30), (8, 0, 30)),
        ("zxy", (30, 4, 5), (30, 8, 0)),
        ("cyzx", (5, 30, 4), (0, 30, 8)),
    ],
)
def test_sizes_have_the_order_of_the_axes(
    file: Callable[..., Path], axes: str, resolution: tuple[int, ...], offset: tuple[int, ...]
) -> None:
    path = file(arranged(axes), axistags=axistags(axes), resolution=resolution, offset=offset)
    with open_stack(str(path)) as stack:
        assert stack.voxel_size_xyz == (4, resolution[axes.replace("c", "").index("y")], 30)
        assert stack.offset_xyz == (2, 0, 1)
    assert f"(x, y, z), from the attribute resolution ({', '.join(axes.replace('c', ''))} in nm)" in remarks(path)[1]


def test_a_size_that_fits_another_order_of_the_axes_is_not_used(file: Callable[..., Path]) -> None:
    path = file(arranged("xyz"), axistags=axistags("xyz"), resolution=(30, 4, 4))
    with open_stack(str(path)) as stack:
        assert stack.voxel_size_xyz is None
    assert "is [30, 4, 4], which fits another order of the axes: as x, y, z in nm, voxels" in remarks(path)[1]


@pytest.mark.parametrize("value", [(1, 2), (-0.5, 1, 1), "text", (np.nan, 1, 1)])
def test_our_own_attributes_must_be_right(file: Callable[..., Path], value: Any) -> None:
    assert "attribute voxel_size_xyz of dataset /raw is" in refusal(file(TRUTH, voxel_size_xyz=value))
    assert "attribute offset_xyz of dataset /raw is" in refusal(file(TRUTH, offset_xyz=value))


# Data that is not there


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A virtual dataset of two files."""
    layout = h5py.VirtualLayout(TRUTH.shape, np.uint8)
    for number in (0, 1):
        with h5py.File(tmp_path / f"part{number}.h5", "w") as out:
            out["raw"] = TRUTH[2 * number : 2 * number + 2]
        layout[2 * number : 2 * number + 2] = h5py.VirtualSource(f"part{number}.h5", "raw", (2, 5, 6))
    with h5py.File(tmp_path / "whole.h5", "w") as out:
        out.create_virtual_dataset("raw", layout)
    return tmp_path / "whole.h5"


def test_a_virtual_dataset_is_read_if_its_sources_are_there(parts: Path) -> None:
    np.testing.assert_array_equal(read(parts), TRUTH)
    assert remarks(parts) == []


def test_missing_sources_are_refused_where_hdf5_reads_zeros(parts: Path) -> None:
    (parts.parent / "part1.h5").unlink()
    with h5py.File(parts) as out:
        assert not out["raw"][2:].any()  # what was read without a word
    assert refusal(parts) == (
        "the data of raw is in other files, and part1.h5 is missing; put it into the folder of whole.h5, or copy the "
        "data into one file (h5repack does)"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out: out.__delitem__("raw"), "part1.h5: has no dataset raw, from which data is taken"),
        (lambda out: (out.__delitem__("raw"), out.create_group("raw")), "part1.h5: has no dataset raw"),
        (
            lambda out: (out.__delitem__("raw"), out.create_dataset("raw", data=TRUTH[:1])),
            "part1.h5: dataset raw has the shape (1, 5, 6), but 60 voxels are taken from it",
        ),
    ],
)
def test_sources_that_changed_are_refused(parts: Path, change: Callable[[h5py.File], Any], words: str) -> None:
    with h5py.File(parts.parent / "part1.h5", "r+") as out:
        change(out)
    assert words in refusal(parts)


def test_a_damaged_source_is_named(parts: Path) -> None:
    (parts.parent / "part0.h5").write_bytes(b"no")
    assert "part0.h5: is not a readable HDF5 file" in refusal(parts)


def test_a_source_of_which_only_a_part_is_taken_must_be_long_enough(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((2, 5, 6), np.uint8)
    with h5py.File(tmp_path / "part.h5", "w") as out:
        out["raw"] = TRUTH
    layout[:] = h5py.VirtualSource("part.h5", "raw", TRUTH.shape)[2:4]
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_virtual_dataset("raw", layout)
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), TRUTH[2:])
    with h5py.File(tmp_path / "part.h5", "w") as out:
        out["raw"] = TRUTH[:3]
    assert "has the shape (3, 5, 6), but voxels up to (3, 4, 5) are taken from it" in refusal(tmp_path / "a.h5")


def test_a_virtual_dataset_of_its_own_file_and_one_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out["some"] = TRUTH
        layout = h5py.VirtualLayout((8, 5, 6), np.uint8)
        layout[:4] = h5py.VirtualSource(out["some"])
        out.create_virtual_dataset("raw", layout)
    np.testing.assert_array_equal(read(f"{path}:raw"), np.concatenate([TRUTH, 0 * TRUTH]))
    said = "50.0 % of the virtual dataset raw have no source; they are read as 0"
    assert remarks(f"{path}:raw") == [said]


def test_a_virtual_dataset_of_itself_ends(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout(TRUTH.shape, np.uint8)
    layout[:] = h5py.VirtualSource("a.h5", "raw", TRUTH.shape)
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_virtual_dataset("raw", layout)
    assert "virtual datasets refer to each other more than 8 times" in refusal(tmp_path / "a.h5")


def test_external_storage_is_read_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("raw", TRUTH.shape, np.uint8, external=[("1.bin", 0, 60), ("2.bin", 10, h5py.h5f.UNLIMITED)])
    assert "the data of raw is in other files, and 1.bin is missing" in refusal(path)
    (tmp_path / "1.bin").write_bytes(TRUTH[:2].tobytes())
    (tmp_path / "2.bin").write_bytes(bytes(10) + TRUTH[2:].tobytes())
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(read(path), TRUTH)
    (tmp_path / "2.bin").write_bytes(bytes(10) + TRUTH[2:3].tobytes())
    assert "2.bin with the data of raw has 40 bytes, 70 are needed; copy it again" in refusal(path)


def test_links_are_followed_and_those_to_nothing_are_told(parts: Path) -> None:
    path = parts.parent / "links.h5"
    with h5py.File(path, "w") as out:
        out["group/there"] = h5py.ExternalLink("whole.h5", "/raw")
        out["soft"] = h5py.SoftLink("/group/there")
        out["gone"] = h5py.ExternalLink("gone.h5", "/raw")
        out["other"] = h5py.ExternalLink("whole.h5", "/other")
        out["nothing"] = h5py.SoftLink("/nothing/here")
        out["ring"] = h5py.SoftLink("/ring")
    for name in (":group/there", ":soft", ""):
        np.testing.assert_array_equal(read(f"{path}{name}"), TRUTH)
    for name, target in (("gone", "/raw in gone.h5"), ("other", "/other in whole.h5"), ("nothing", "/nothing/here")):
        assert f"{name} is a link to {target}, where there is nothing" in refusal(f"{path}:{name}")
    assert "ring is a link to /ring" in refusal(f"{path}:ring")


def test_a_series_of_files_must_have_no_gap(tmp_path: Path) -> None:
    unlimited, stop = h5py.h5s.UNLIMITED, (h5py.h5s.UNLIMITED, 5, 6)
    extent, blocks = (h5py.h5s.create_simple((1, 5, 6), stop) for _ in range(2))
    blocks.select_hyperslab((0, 0, 0), (unlimited, 1, 1), (1, 5, 6), (1, 5, 6))
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_virtual(blocks, b"z%b.h5", b"raw", h5py.h5s.create_simple((1, 5, 6)))
    with h5py.File(tmp_path / "a.h5", "w") as out:
        h5py.h5d.create(out.id, b"raw", h5py.h5t.NATIVE_UINT8, extent, plan)
    for z in range(4):
        with h5py.File(tmp_path / f"z{z}.h5", "w") as out:
            out["raw"] = TRUTH[z : z + 1]
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), TRUTH)
    (tmp_path / "z2.h5").unlink()
    assert "some or all of z%b.h5 (%b is 0, 1, 2 and so on) are missing" in refusal(tmp_path / "a.h5")


def test_stages_that_take_a_users_file_tell_what_is_unusual(
    file: Callable[..., Path], run_stage: Callable[..., Any]
) -> None:
    path = file(arranged("xyz"), axistags=axistags("xyz"))
    (told,) = [event["text"] for event in run_stage("statistics", {"volume": path}).reported("message")][:1]
    assert told.startswith(f"{path}: the axes of dataset raw are x, y, z (attribute axistags)")


# Filters and blocks


@pytest.mark.parametrize("filter_", [hdf5plugin.Zstd(), hdf5plugin.Blosc(), hdf5plugin.Bitshuffle(), hdf5plugin.LZ4()])
def test_plug_in_filters_are_read(file: Callable[..., Path], filter_: Any) -> None:
    np.testing.assert_array_equal(read(file(TRUTH, options={"chunks": True, **filter_})), TRUTH)


@pytest.mark.parametrize("used", [True, False])
def test_a_filter_that_is_not_installed_is_named(tmp_path: Path, used: bool) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((2, 5, 6))
    plan.set_filter(32999, h5py.h5z.FLAG_OPTIONAL, ())
    with h5py.File(tmp_path / "a.h5", "w") as out:
        made = h5py.h5d.create(out.id, b"raw", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(TRUTH.shape), plan)
        for z in (0, 2):
            made.write_direct_chunk((z, 0, 0), TRUTH[z : z + 2].tobytes(), filter_mask=0 if used else 1)
    if used:
        text = refusal(tmp_path / "a.h5")
        assert text.startswith("dataset raw is compressed with filter 32999 (unknown), which is not installed here; ")
    else:  # it is optional, and the writer did not have it
        np.testing.assert_array_equal(read(tmp_path / "a.h5"), TRUTH)


def test_blocks_that_were_never_written_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("raw", TRUTH.shape, np.uint8, chunks=(1, 5, 6), fillvalue=7)[1] = 9
    assert remarks(path) == ["only 1 of the 4 blocks (chunks) of dataset raw were written; the others are read as 7"]
    assert read(path)[:, 0, 0].tolist() == [7, 9, 7, 7]


def test_a_shape_far_beyond_what_is_stored_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("raw", (10**6, 10**3, 10**3), np.uint8, chunks=(16, 128, 128))[0, 0, 0] = 1
    assert "is damaged or was never finished: only 1 of the 4,000,000 blocks" in refusal(path)
    with pytest.raises(InputError, match="never finished"):
        read_volume(path)


@pytest.mark.parametrize("chunks", [None, (1, 5, 6)])
def test_a_dataset_to_which_nothing_was_written_is_refused(tmp_path: Path, chunks: Any) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_dataset("raw", TRUTH.shape, np.uint8, chunks=chunks)
    assert refusal(tmp_path / "a.h5") == "dataset raw holds no data: nothing was ever written to it"


# Types


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i4", ">i8", "f2", ">f4", "f8", "?"])
def test_numbers_are_read_in_the_order_of_this_machine(file: Callable[..., Path], dtype: str) -> None:
    data = (TRUTH % 2).astype(dtype)
    found, _ = read_volume(file(data))
    assert found.dtype == data.dtype.newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, data)


def test_enumerations_are_their_numbers(file: Callable[..., Path]) -> None:
    found, _ = read_volume(file(TRUTH, options={"dtype": h5py.enum_dtype({"none": 0, "cell": 1}, "u1")}))
    np.testing.assert_array_equal(found, TRUTH)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.dtype([("a", "u1"), ("b", "f4")]), "records of several fields"),
        (h5py.string_dtype(), "text"),
        (np.dtype("S3"), "text"),
        (np.dtype("V3"), "bytes without a type"),
        (h5py.opaque_dtype(np.dtype("M8[s]")), "bytes without a type"),
        (h5py.vlen_dtype(np.uint8), "lists"),
        (h5py.ref_dtype, "references"),
        (np.dtype("c8"), "complex numbers"),
        (np.dtype(("u1", (2,))), "arrays"),
        (np.dtype("f16"), "float128"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, dtype: Any, words: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_dataset("raw", (4, 5, 6), dtype)
    assert refusal(tmp_path / "a.h5") == (
        f"dataset /raw holds {words}, not grey values or labels; save it as whole numbers"
    )


def test_times_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        h5py.h5d.create(out.id, b"raw", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((4, 5, 6)))
    assert "dataset /raw holds times" in refusal(tmp_path / "a.h5")


# Which dataset


def test_a_group_is_not_a_dataset(file: Callable[..., Path]) -> None:
    path = file(TRUTH, "volumes/labels/ids")
    assert refusal(f"{path}:volumes/labels") == (
        f"{path}: 'volumes/labels' is a group, not a dataset; it holds volumes/labels/ids (4, 5, 6): write "
        f"{path}:volumes/labels/ids"
    )


@pytest.mark.parametrize("name", ["time:0", "a@b", "x.h5", "a b/ü", "data.h5:1"])
def test_names_of_datasets_with_signs_in_them(file: Callable[..., Path], name: str) -> None:
    path = file(TRUTH, name)
    for separator in ":@":
        np.testing.assert_array_equal(read(f"{path}{separator}{name}"), TRUTH)


def test_levels_of_resolution_are_listed_with_their_sizes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        for level in (0, 1):
            out[f"t00000/s00/{level}/cells"] = TRUTH[:: level + 1]
    assert "holds 2 3D datasets (t00000/s00/0/cells (4, 5, 6), t00000/s00/1/cells (2, 5, 6)); name one, as in" in (
        refusal(tmp_path / "a.h5")
    )


def test_an_empty_dataset_and_one_without_shape(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out["empty"] = np.zeros((0, 5, 6), np.uint8)
        out["null"] = h5py.Empty("u1")
    assert "dataset /empty is empty, (0, 5, 6)" in refusal(f"{tmp_path / 'a.h5'}:empty")
    assert "dataset /null is empty" in refusal(f"{tmp_path / 'a.h5'}:null")


# Names of sections


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (np.arange(4), "section_names are not names of files but int64; rename or remove this dataset"),
        (["a" * 5000] * 4, "section_names: name 0, aaaaaaaaaaaaaaaaaaaaaaaaaaa..., has 5000 characters; no file has"),
        (np.zeros(4, "V3"), "section_names are not names of files but bytes without a type"),
    ],
)
def test_names_that_no_file_can_have(file: Callable[..., Path], names: Any, words: str) -> None:
    with h5py.File(path := file(TRUTH), "r+") as out:
        out["section_names"] = names
    assert words in refusal(path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["z1.png", "z2.png", "z3.png", "ü.png"], ("z1.png", "z2.png", "z3.png", "ü.png")),
        (np.array([b"z1", b"z2", b"\xff", b"a\x1b[1m"]), ("z1", "z2", "�", "a?[1m")),
        (["z1", "z2"], None),
        ([["z1", "z2"]] * 4, None),
    ],
)
def test_names_are_shown_on_one_line(file: Callable[..., Path], names: Any, expected: Any) -> None:
    with h5py.File(path := file(TRUTH), "r+") as out:
        out["section_names"] = names
    with open_stack(str(path)) as stack:
        assert stack.files == expected


def test_times_for_names_are_refused(file: Callable[..., Path]) -> None:
    with h5py.File(path := file(TRUTH), "r+") as out:
        h5py.h5d.create(out.id, b"section_names", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((4,)))
    assert "section_names are not names of files but times" in refusal(path)
