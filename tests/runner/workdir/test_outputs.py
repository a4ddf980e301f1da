"""What a stage may publish: files and folders with plain names, which can be read to their end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from floodrunner.runner.workdir import outputs
from floodrunner.runner.workdir.names import is_inside, is_output
from floodrunner.runner.workdir.outputs import unfit
from tests.runner.workdir.test_files import special


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    (tmp_path / "sections").mkdir()
    (tmp_path / "sections" / "größe 1, Ω.png").write_text("x")
    (tmp_path / "volume.h5").write_text("x")
    return tmp_path


def test_files_and_folders_are_fit(partial: Path) -> None:
    assert unfit(partial) == ""


@pytest.mark.parametrize("kind", ["link", "named pipe", "socket"])
def test_what_is_no_plain_file_is_refused(partial: Path, kind: str) -> None:
    special(partial / "sections" / "b.png", kind)
    assert unfit(partial) == f"the stage wrote sections/b.png, a {kind}; only files and folders can be published"


def test_a_link_to_a_folder_is_refused(partial: Path) -> None:
    (partial / "more").symlink_to("sections")
    assert unfit(partial) == "the stage wrote more, a link; only files and folders can be published"


@pytest.mark.parametrize("name", [b"a\x1b[2J", b"two\nlines", b"not\xff\xfetext", "\u202egnp.a".encode()])
def test_a_name_that_is_no_text_is_refused(partial: Path, name: bytes) -> None:
    (partial / os.fsdecode(name)).touch()
    text = unfit(partial)
    assert text.startswith("the stage wrote ")
    assert text.endswith(", a name with characters that are not text")
    assert text.isprintable()


def test_a_file_that_is_mostly_a_hole_is_refused(partial: Path) -> None:
    with open(partial / "volume.h5", "wb") as file:
        try:
            file.truncate(1 << 43)
        except OSError:
            pytest.skip("this file system has no files of 8 TB")
    assert unfit(partial) == "the stage wrote volume.h5 of 8.8 TB, more than the disk holds"


def test_too_many_files_are_refused(partial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "MOST_FILES", 2)
    assert unfit(partial) == "the stage wrote more than 2 files"


def test_folders_that_are_too_deep_are_refused(partial: Path) -> None:
    (partial / "sections").joinpath(*["d"] * 48).mkdir(parents=True)
    assert unfit(partial) == ""
    (partial / "sections").joinpath(*["d"] * 60).mkdir(parents=True)
    assert unfit(partial) == "the stage wrote folders more than 50 deep in sections"


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/", "/home/me", "../x", "a/b", "a/../..", "log.txt", "state", "step.json", ".names.json", "a\0"],
)
def test_names_that_are_not_those_of_outputs(name: str) -> None:
    assert not is_output(name)


def test_names_of_outputs() -> None:
    assert all(is_output(name) for name in ("volume.h5", "sections", "größe", ".keep", "..a", "a b"))
    assert is_inside("state/log")
    assert not any(is_inside(path) for path in ("../other/x", "a/../../x", "a//b", "/etc/passwd", "a\x1b", "./a"))
