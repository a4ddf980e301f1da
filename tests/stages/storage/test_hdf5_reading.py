"""Opening HDF5 files, and what h5py raises while they are read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import attribute, open_hdf5, reading, whole


def test_a_file_is_opened_or_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no")
    os.mkfifo(tmp_path / "pipe.h5")
    for name, words in (
        ("none.h5", "no such file"),
        ("text.h5/inside.h5", "no such file"),
        ("", "is a folder; name an HDF5 file"),
        ("pipe.h5", "is not a regular file; name an HDF5 file"),
        ("text.h5", "is not a readable HDF5 file; make it again, or copy it again from its source"),
        ("a" * 300, "is not a readable HDF5 file"),
    ):
        with pytest.raises(InputError) as caught, open_hdf5(tmp_path / name):
            pass
        assert str(caught.value).startswith(f"{tmp_path / name}: {words}")


def test_a_file_that_another_program_writes_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write = f"import h5py; f = h5py.File({str(path)!r}, 'w', libver='latest'); f['raw'] = 1; "
    with subprocess.Popen(
        [sys.executable, "-c", write + "print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(InputError) as caught, open_hdf5(path):
            pass
        other.communicate(b"\n")
    assert str(caught.value) == f"{path}: is open in another program; close it there, and run again"
    with open_hdf5(path):
        pass
    subprocess.run([sys.executable, "-c", write + "f.flush(); import os; os._exit(0)"], check=True)
    with pytest.raises(InputError, match="or that program ended without closing it; close it there, or mend it with"):
        open_hdf5(path).__enter__()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made["raw"] = np.arange(5)
        yield made


@pytest.mark.parametrize(
    "fault",
    [
        lambda file: file["none"],
        lambda file: file["raw"]["field"],
        lambda file: file["raw"].asstr(),
        lambda file: file["raw"].attrs["none"],
        lambda file: file.visititems(lambda name, item: file["none"]),
    ],
)
def test_what_h5py_raises_becomes_one_line(file: h5py.File, fault: Callable[[h5py.File], Any]) -> None:
    with (
        pytest.raises(
            InputError, match=r"^a\.h5: cannot be read because the file is damaged \(HDF5: .*\); make it"
        ) as c,
        reading("a.h5"),
    ):
        fault(file)
    assert "\n" not in str(c.value)


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("x"), OSError("x"), TypeError("x")])
def test_errors_of_our_own_are_not_taken_for_a_damaged_file(error: Exception) -> None:
    with pytest.raises(type(error)), reading("a.h5"):
        raise error


def test_attributes_are_read_within_bounds(file: h5py.File, tmp_path: Path) -> None:
    file.attrs["three"] = (1, 2, 3)
    file.attrs["null"] = h5py.Empty("f4")
    assert attribute(file, "three", "a.h5").tolist() == [1, 2, 3]
    assert attribute(file, "none", "a.h5") is None
    assert attribute(file, "null", "a.h5") is None
    with h5py.File(tmp_path / "b.h5", "w", libver="latest") as large:
        large.attrs.create("large", np.zeros(2**18))
        with pytest.raises(InputError, match=r"^b\.h5: attribute large of / is too large, \(262144,\); remove it$"):
            attribute(large, "large", "b.h5")


def test_whole_datasets_are_all_there(file: h5py.File, tmp_path: Path) -> None:
    assert whole(file["raw"], "a.h5").tolist() == [0, 1, 2, 3, 4]
    part = file.create_dataset("part", (8,), np.uint8, chunks=(2,))
    part[:3] = 1
    with pytest.raises(
        InputError, match=r"^a\.h5: cannot be read because .* \(2 of 4 chunks of /part are in it\); make"
    ):
        whole(part, "a.h5")
    huge = file.create_dataset("huge", (2**50,), np.uint8, chunks=(2**20,))
    with pytest.raises(
        InputError, match=r"^a\.h5: dataset /huge has the shape \(1125899906842624,\), 1,048,576 GB, more"
    ):
        whole(huge, "a.h5")
    outside = file.create_dataset("outside", (4,), np.uint8, external=[(str(tmp_path / "x"), 0, 4)])
    with pytest.raises(InputError, match=r"^a\.h5: takes the data of /outside from other files, which no step writes"):
        whole(outside, "a.h5")
