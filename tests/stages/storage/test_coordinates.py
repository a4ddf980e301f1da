"""Tables of training positions that were edited or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.coordinates import read_coordinates


def table(path: Path, **changed: Any) -> Path:
    arrays: dict[str, Any] = {"classes": np.array([0, 3], np.uint8), "starts": np.array([0, 1, 3])}
    arrays |= {"indices": np.array([5, 0, 59], np.uint32), "shape_zyx": (3, 4, 5)} | changed
    with h5py.File(path, "w") as file:
        if arrays["shape_zyx"] is not None:
            file.attrs["shape_zyx"] = arrays["shape_zyx"]
        for name in ("classes", "starts", "indices"):
            if arrays[name] is not None:
                file[name] = arrays[name]
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    read = read_coordinates(table(tmp_path / "table.h5"))
    assert (read.shape, read.counts.tolist(), read.indices.tolist()) == ((3, 4, 5), [1, 2], [5, 0, 59])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"indices": None}, "is not a table of positions; connect the output of ffn-coordinates"),
        ({"shape_zyx": None}, "is not a table of positions"),
        ({"shape_zyx": (3, 4)}, "is not a table of positions"),
        ({"shape_zyx": "large"}, "is not a table of positions"),
        (
            {"indices": np.zeros(0, np.uint32), "starts": np.zeros(3, int)},
            "its list of positions is empty; run ffn-coo",
        ),
        (
            {"indices": np.array([5, 0, 60])},
            "its positions go from 0 to 60, which are not all inside a volume of shape",
        ),
        ({"indices": np.array([5, 0, -1])}, "its positions go from -1 to 5, which are not all inside"),
        ({"shape_zyx": (-3, -4, 5)}, "which are not all inside a volume of shape (-3, -4, 5)"),
        ({"starts": np.array([0, 3])}, "its starts do not divide its 3 positions among its 2 classes"),
        ({"starts": np.array([0, 4, 3])}, "its starts do not divide"),
        ({"starts": np.array([0, 1, 2**40])}, "its starts do not divide"),
        ({"indices": np.array([5.0, 0, 1])}, "its indices are float64 (3,), not a list of whole numbers"),
        ({"classes": np.zeros((2, 2), np.uint8)}, "its classes are uint8 (2, 2), not a list of whole numbers"),
        ({"classes": "text"}, "its classes are object (), not a list of whole numbers"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    path = table(tmp_path / "table.h5", **changed)
    with pytest.raises(InputError) as caught:
        read_coordinates(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
