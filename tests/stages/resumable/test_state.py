"""Saved states: what is read is what was saved, or the file is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.resumable import state

RNG = np.random.default_rng(1)
ARRAYS: dict[str, np.ndarray] = {
    "variables/0": RNG.random((3, 4), np.float32),
    "variables/1": np.array(7, np.int64),
    "labels": RNG.integers(0, 9, (50, 60, 70), np.int32),
    "none": np.zeros((0, 3)),
}
VALUES: dict[str, Any] = {"identity": {"depth": 3}, "step": 7, "losses": [0.1, 0.2]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    state.save(tmp_path / "a.h5", ARRAYS, VALUES)
    return tmp_path / "a.h5"


def refused(path: Path) -> None:
    with pytest.raises(InputError) as caught:
        state.load(path)
    assert str(caught.value).startswith(f"{path}: the saved state is truncated or damaged; ")


def same(path: Path) -> None:
    arrays, values = state.load(path)  # type: ignore[misc]
    assert values == VALUES
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_what_was_saved_is_read(saved: Path) -> None:
    same(saved)
    assert state.load(saved.with_name("none.h5")) is None


def test_a_state_of_an_earlier_version_has_no_sums(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        del file["values.json"]
        file["values.json"] = np.frombuffer(json.dumps(VALUES).encode(), np.uint8)
    same(saved)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_other_values_or_another_form_is_refused(saved: Path, name: str) -> None:
    array = ARRAYS[name]
    for other in (array + 1, array.astype(np.float16), array[..., None]):
        with h5py.File(saved, "r+") as file:
            del file[name]
            file[name] = other
        if other.size or other.shape != array.shape:
            refused(saved)


def test_an_array_too_many_or_too_few_is_refused(saved: Path) -> None:
    with h5py.File(saved, "r+") as file:
        file["more"] = [1]
    refused(saved)
    with h5py.File(saved, "r+") as file:
        del file["more"], file["labels"]
    refused(saved)


@pytest.mark.parametrize("values", [b"", b"[" * 100_000, b"\xff\xfe", b"7", b'{"sums": 5}', b"NaN"])
def test_values_that_were_not_saved_so_are_refused(saved: Path, values: bytes) -> None:
    with h5py.File(saved, "r+") as file:
        del file["values.json"]
        file["values.json"] = np.frombuffer(values, np.uint8)
    refused(saved)


def test_a_changed_byte_of_the_values_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    assert whole.count(b'"step": 7') == 1
    saved.write_bytes(whole.replace(b'"step": 7', b'"step": 9'))
    refused(saved)


def test_what_a_state_lacks_is_one_line_for_the_user(saved: Path) -> None:
    for error in (KeyError("x"), TypeError("x"), ValueError("x\ny"), IndexError("x")):
        with pytest.raises(InputError, match="the saved state is truncated or damaged"), state.restoring(saved):
            raise error
