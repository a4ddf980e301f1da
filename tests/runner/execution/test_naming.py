"""How run folders are named after inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.runner.execution.naming import name_of


@pytest.mark.parametrize(
    ("path", "parents", "name"),
    [
        ("new/pictures", 0, "pictures"),
        ("new/pictures/", 1, "new-pictures"),
        ("new pictures (2)", 0, "new-pictures-2"),
        ("plate.7", 0, "plate.7"),
        ("cells.tif", 0, "cells"),
        ("vol.h5", 0, "vol"),
        ("vol.h5:raw", 0, "vol-raw"),
        ("vol.h5@/volumes/raw", 1, "scan-vol-volumes-raw"),
        ("größe µm", 0, "größe-µm"),
        ("-rf", 0, "rf"),
        (".hidden", 0, "hidden"),
        ("a\udcffb", 0, "a-b"),
        ("/", 0, ""),
        ("/", 3, ""),
        ("$(x)", 0, "x"),
        ("ü" * 200, 0, "ü" * 60),
    ],
)
def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, parents: int, name: str) -> None:
    (tmp_path / "scan").mkdir()
    monkeypatch.chdir(tmp_path / "scan")
    Path("plate.7").mkdir()
    assert name_of(path, parents) == name


def test_the_current_folder_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scan").mkdir()
    monkeypatch.chdir(tmp_path / "scan")
    assert (name_of("."), name_of("..")) == ("scan", name_of(str(tmp_path)))
