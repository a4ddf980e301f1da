"""Patterns in inputs: what fits, what the wildcards stand for, and what is paired."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from floodrunner.runner import machine
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline.patterns import fits, is_pattern


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def found(**patterns: str) -> dict[tuple[str, ...], dict[str, str]]:
    return {fit.key: fit.inputs for fit in fits(patterns)}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("data/*/", {("a",): "data/a", ("b",): "data/b"}),
        ("data/*", {("a",): "data/a", ("b",): "data/b", ("x.tif",): "data/x.tif"}),
        ("data/*.tif", {("x",): "data/x.tif"}),
        ("data/?", {("a",): "data/a", ("b",): "data/b"}),
        ("data/[!a]", {("b",): "data/b"}),
        ("data/[ab]/day[0-9][0-9]*", {("a", "01"): "data/a/day01", ("b", "02-x"): "data/b/day02-x"}),
        ("**/*.tif", {("data", "x"): "data/x.tif", ("data/a", "y"): "data/a/y.tif"}),
        ("d*/[ab]*/y.tif", {("ata", "a"): "data/a/y.tif"}),
        ("data/.*", {("hidden",): "data/.hidden"}),
    ],
)
def test_what_fits(here: Path, pattern: str, expected: dict[tuple[str, ...], str]) -> None:
    make("data/a/y.tif", "data/a/day01/1", "data/b/day02-x/1", "data/x.tif", "data/.hidden/1", "data/Thumbs.db")
    if pattern == "data/.*":  # a hidden folder fits no wildcard, and one that is named is not the user's data either
        with pytest.raises(UserError, match="nothing fits"):
            found(images=pattern)
        return
    assert found(images=pattern) == {key: {"images": path} for key, path in expected.items()}


def test_a_dataset_belongs_to_every_file(here: Path) -> None:
    make("data/a.h5", "data/b.h5", "data/c.txt")
    assert found(images="data/*.h5:raw") == {
        ("a",): {"images": "data/a.h5:raw"},
        ("b",): {"images": "data/b.h5:raw"},
    }


def test_pairs(here: Path) -> None:
    make("a/1/raw/x", "a/2/raw/x", "b/1_seg.tif", "b/2_seg.tif")
    assert found(images="a/*/raw", labels="b/*_seg.tif") == {
        ("1",): {"images": "a/1/raw", "labels": "b/1_seg.tif"},
        ("2",): {"images": "a/2/raw", "labels": "b/2_seg.tif"},
    }
    make("a/3/raw/x", "b/4_seg.tif")
    with pytest.raises(UserError, match=r"no partner.*: a/3/raw \(images\), b/4_seg.tif \(labels\); rename or remove"):
        found(images="a/*/raw", labels="b/*_seg.tif")


def test_nothing_fits(here: Path) -> None:
    with pytest.raises(UserError, match=r"--input images=data/\*/: nothing fits this pattern \(seen from the current"):
        found(images="data/*/")


def test_a_path_that_is_there_is_no_pattern(here: Path) -> None:
    make("plate[1]/x", "what?/x", "s*.h5")
    assert not is_pattern("plate[1]")
    assert not is_pattern("what?/")
    assert not is_pattern("s*.h5:raw")
    assert is_pattern("plate[2]")
    assert is_pattern("s*.h6")
    assert not is_pattern("plain/path")
    assert not is_pattern("a]b[c")


def test_names_with_brackets_are_found_by_other_wildcards(here: Path) -> None:
    make("p[1]/x", "p[2]/x", "q(1)+/x")
    assert list(found(images="p*/")) == [("[1]",), ("[2]",)]
    assert list(found(images="q(*)+/")) == [("1",)]


def test_home_and_windows_paths(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("home/d/a/x")
    monkeypatch.setenv("HOME", str(here / "home"))
    assert found(images="~/d/*/") == {("a",): {"images": str(here / "home/d/a")}}
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert found(images="home\\d\\*\\") == {("a",): {"images": "home/d/a"}}


def test_thousands_of_matches(here: Path) -> None:
    os.mkdir("data")
    for number in range(3000):
        os.mkdir(f"data/s{number:04}")
    assert len(fits({"images": "data/*/"})) == 3000
