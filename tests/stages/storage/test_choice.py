"""Which dataset is named to a user who has named none, or one that is not there."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.volumes import open_volume


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "vol.h5", "w") as out:
        for name in ("labels", "raw", "sub/Segmentation", "volumes/raw2"):
            out[name] = np.zeros((2, 3, 4), np.uint8)
        out["about"] = np.zeros(3)
    return tmp_path / "vol.h5"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("Raw", "raw"),
        ("RAW", "raw"),
        ("/raw/raw", "raw"),
        ("segmentation", "sub/Segmentation"),
        ("sub/segmentation", "sub/Segmentation"),
        ("lables", "labels"),
        ("volumes/raw3", "volumes/raw2"),
        ("data", "labels"),  # nothing is like it, and the first, `about`, is no volume
    ],
)
def test_the_dataset_that_was_meant_is_named(file: Path, wrong: str, meant: str) -> None:
    with pytest.raises(InputError) as error, open_volume(f"{file}:{wrong}"):
        pass
    assert str(error.value).endswith(f": write {file}:{meant}")
