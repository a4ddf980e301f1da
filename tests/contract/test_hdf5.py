"""Which files HDF5 opens for a name in another file, and that HDF5 itself agrees."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from floodrunner.contract.hdf5 import linked_files, source_files


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "parts").mkdir(parents=True)
    for name in ("b.h5", "parts/c.h5", "s0.h5", "s1.h5", "s2.h5", "gap0.h5", "gap2.h5", "50%.h5"):
        with h5py.File(folder / name, "w") as file:
            file["raw"] = np.ones((1, 2), np.uint8)
    return folder / "a.h5"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".", ["a.h5"]),
        ("b.h5", ["b.h5"]),
        ("parts/c.h5", ["parts/c.h5"]),
        ("../data/b.h5", ["../data/b.h5"]),
        ("/nowhere/b.h5", ["b.h5"]),  # copied together from another place
        ("/nowhere/c.h5", []),
        ("c.h5", []),
        ("", []),
        ("b\0.h5", []),
        ("parts", []),
        ("x" * 300, []),
        ("s%b.h5", ["s0.h5", "s1.h5", "s2.h5"]),
        ("/nowhere/s%b.h5", ["s0.h5", "s1.h5", "s2.h5"]),
        ("gap%b.h5", []),
        ("none%b.h5", []),
        ("nofolder/none%b.h5", []),
        ("50%%.h5", ["50%.h5"]),
    ],
)
def test_the_files_of_a_name(parent: Path, name: str, expected: list[str]) -> None:
    assert source_files(parent, name) == [parent.parent / file for file in expected]


@pytest.mark.parametrize("name", [".", "s%b.h5", "50%%.h5", "", "b\0.h5", "parts", "c.h5", "..", "x" * 300])
def test_links_and_raw_files_have_plain_names(parent: Path, name: str) -> None:
    assert linked_files(parent, name) == []
    for other in ("b.h5", "50%.h5", "/nowhere/b.h5"):
        assert linked_files(parent, other) == [parent.with_name(other.rpartition("/")[2])]


def test_the_current_folder_does_not_count(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parent.parent / "parts")
    assert source_files(parent, "c.h5") == linked_files(parent, "c.h5") == []


def test_a_file_reached_over_a_link_has_its_sources_beside_either(parent: Path, tmp_path: Path) -> None:
    parent.touch()
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "a.h5"
    link.symlink_to(parent)
    assert source_files(link, "b.h5") == [parent.parent / "b.h5"]


def test_a_pipe_is_no_source(parent: Path) -> None:
    os.mkfifo(parent.with_name("pipe"))
    assert source_files(parent, "pipe") == linked_files(parent, "pipe") == []


@pytest.mark.parametrize("name", [".", "b.h5", "parts/c.h5", "/nowhere/b.h5", "/nowhere/c.h5", "c.h5", "50%%.h5"])
def test_hdf5_finds_the_same(parent: Path, name: str) -> None:
    with h5py.File(parent, "w") as file:
        file["raw"] = np.ones((1, 2), np.uint8)
        layout = h5py.VirtualLayout((1, 2), np.uint8)
        layout[:] = h5py.VirtualSource(name, "raw", (1, 2))
        file.create_virtual_dataset("virtual", layout)
        file["link"] = h5py.ExternalLink(name, "raw")
    with h5py.File(parent) as file:
        assert bool(file["virtual"][0, 0]) == bool(source_files(parent, name))
        assert (file.get("link") is not None) == bool(linked_files(parent, name))
