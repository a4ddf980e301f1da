"""Files of the runner in folders where a stage can write: plain files only, never through a link, never waiting."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir import files
from floodrunner.runner.workdir.files import open_own, read_json, remove, write_json


def special(path: Path, kind: str) -> Path:
    """Puts something at a path that is no plain file."""
    if kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "named pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            here = os.getcwd()
            os.chdir(path.parent)  # the address of a socket is short
            made.bind(path.name)
            os.chdir(here)
    return path


KINDS = ["link", "named pipe", "socket"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["rb", "ab", "r+b"])
def test_only_plain_files_are_opened(tmp_path: Path, kind: str, mode: str) -> None:
    path = special(tmp_path / "log.txt", kind)
    with pytest.raises(UserError) as caught:
        open_own(path, mode)
    assert (
        str(caught.value) == f"{path}: is a {kind}, not a file that Floodrunner made; remove the {kind} and run again"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_no_plain_file_is_none(tmp_path: Path, kind: str) -> None:
    assert read_json(special(tmp_path / "step.json", kind)) is None


def test_a_folder_in_the_place_of_a_record_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_own(tmp_path, "rb")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="deep list"),
        pytest.param('{"a":' * 100_000, id="deep object"),
        pytest.param("1" * 5000, id="long number"),
        pytest.param('{"a": ' + "1" * 5000 + "}", id="object with a long number"),
        '"\\ud800',
        "[1, 2]",
        "",
    ],
)
def test_a_record_that_is_no_json_object_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "step.json").write_text(text)
    assert read_json(tmp_path / "step.json") is None


def test_a_record_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    (tmp_path / "step.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "step.json") == {"a": 1}
    (tmp_path / "step.json").write_text('{"a": 1234567}')
    assert read_json(tmp_path / "step.json") is None


def test_a_record_is_not_written_through_a_link_that_guesses_its_name(tmp_path: Path) -> None:
    """A stage can put links for all process numbers there."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "step"
    folder.mkdir()
    (folder / f".step.json.{os.getpid()}").symlink_to(precious)
    write_json(folder / "step.json", {"a": 1})
    assert precious.read_text() == "mine"
    assert read_json(folder / "step.json") == {"a": 1}
    assert os.listdir(folder) == ["step.json"]


def test_folders_nested_more_deeply_than_python_goes_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "partial"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    remove(top)
    assert os.listdir(tmp_path) == []


def test_folders_that_are_locked_against_writing_are_removed(tmp_path: Path) -> None:
    locked = tmp_path / "partial" / "locked"
    locked.mkdir(parents=True)
    (locked / "file").touch()
    locked.chmod(0)
    remove(tmp_path / "partial")
    assert os.listdir(tmp_path) == []


def test_what_a_link_leads_to_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (tmp_path / "partial").symlink_to("mine")
    remove(tmp_path / "partial")
    assert os.listdir(tmp_path / "mine") == ["file"]
    assert not (tmp_path / "partial").is_symlink()
