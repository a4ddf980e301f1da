from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.labels import open_labels, read_labels
from floodrunner.stages.storage.volumes import Place, write_volume


class Said(list[str]):
    """Stands for the context of a stage."""

    def message(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def said() -> Any:
    return Said()


def volume(folder: Path, array: np.ndarray) -> Path:
    write_volume(folder / "v.h5", "labels", array, Place())
    return folder / "v.h5"


@pytest.mark.parametrize(
    ("dtype", "none"),
    [
        (np.uint64, 2**64 - 1),  # CREMI: background
        (np.uint64, 2**64 - 2),  # CREMI: invalid
        (np.int64, -1),  # the same, saved with sign
        (np.uint64, 2**32 - 1),
        (np.uint32, 2**32 - 1),
        (np.int32, -1),
        (np.int16, -1),
    ],
)
def test_ids_that_mean_none_are_read_as_0_and_counted_once(tmp_path: Path, dtype: type, none: int, said: Any) -> None:
    array = np.arange(40, dtype=dtype).reshape(10, 2, 2)
    array[2], array[7, 1] = none, none
    path = volume(tmp_path, array)
    expected = np.where(array == array[2, 0, 0], 0, array)
    with open_labels(path, said) as (labels, _):
        for start, stop in ((0, 4), (2, 6), (5, 10)):  # with a halo, as `fill` reads
            np.testing.assert_array_equal(labels.read(slice(start, stop)), expected[start:stop])
        assert labels.read(slice(0, 10)).dtype == dtype
    assert said == [
        f"{path}: 6 voxels (15.0 %) are {none}, which means none in CREMI and other programs; they count as 0, "
        "unlabelled"
    ]
    whole = Said()
    np.testing.assert_array_equal(read_labels(path, whole)[0], expected)
    assert whole == said


def test_only_what_is_read_counts(tmp_path: Path, said: Any) -> None:
    array = np.full((6, 4, 4), 9, np.uint64)
    array[3:, 0, 0] = array[:2] = 2**64 - 1
    with open_labels(volume(tmp_path, array), said) as (labels, _):
        labels.read(slice(3, 5), slice(0, 2), slice(0, 2))
    assert said[0].split(": ")[1].startswith("2 voxels (25.0 %) are 18446744073709551615,")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_largest_id_of_8_or_16_bits_is_an_id(tmp_path: Path, dtype: type, said: Any) -> None:
    """All 255 or 65,535 ids may be in use."""
    array = np.full((2, 3, 4), np.iinfo(dtype).max, dtype)
    np.testing.assert_array_equal(read_labels(volume(tmp_path, array), said)[0], array)
    assert not said


@pytest.mark.parametrize("value", [-4, -70000, -(2**62)])
def test_other_negative_ids_are_refused(tmp_path: Path, value: int, said: Any) -> None:
    array = np.ones((3, 3, 3), np.int64)
    array[1, 1, 1] = value
    with pytest.raises(InputError, match=f"v.h5: dataset /labels holds the negative label {value}; if it means none"):
        read_labels(volume(tmp_path, array), said)


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [
        (bool, "import the labels with import-labels and relabel: connected_components, which gives each piece an id"),
        (np.float32, "save the labels as whole numbers, such as uint32"),
    ],
)
def test_no_integers_are_refused(tmp_path: Path, dtype: type, remedy: str, said: Any) -> None:
    path = volume(tmp_path, np.ones((2, 2, 2), dtype))
    with pytest.raises(InputError) as error:
        read_labels(path, said)
    assert str(error.value) == (
        f"{path}: dataset /labels is {np.dtype(dtype)}, not integer labels (0 = none); {remedy}"
    )


def test_the_name_of_a_dataset_does_nothing_to_a_terminal(tmp_path: Path, said: Any) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["a\n\x1b[31m\u202eb"] = np.ones((2, 2, 2), np.float32)
    with pytest.raises(InputError, match=r"dataset /a\?\?\[31m\?b is float32") as error:
        read_labels(tmp_path / "v.h5", said)
    assert str(error.value).isprintable()
