"""HDF5 files as other programs write them: types of numbers, which dataset is meant, names of sections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.stages.readers.sections import open_stack
from floodrunner.stages.storage.volumes import read_volume
from tests.stages.hdf5_files import TRUTH, read, refusal


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
