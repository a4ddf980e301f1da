"""What a folder or file holds, as one hash."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from runner import content
from runner.content import Cache
from runner.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "stack"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_bytes(b"one")
    (made / "b").write_bytes(b"two")
    (made / "sub" / "c").write_bytes(b"three")
    return made


def of(path: Path | str) -> str:
    return content.of_input(str(path), Cache(Path("/nowhere/hashes.json")))


def test_a_file_is_its_sha256(folder: Path) -> None:
    assert of(folder / "a") == hashlib.sha256(b"one").hexdigest()


def test_a_folder_counts_names_and_content_not_its_place(folder: Path, tmp_path: Path) -> None:
    before = of(folder)
    folder.rename(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere"
    assert of(folder) == before
    os.utime(folder / "a", (1, 1))
    assert of(folder) == before
    (folder / "a").rename(folder / "z")
    assert of(folder) != before
    (folder / "z").rename(folder / "a")
    assert of(folder) == before
    (folder / "a").write_bytes(b"two")
    (folder / "b").write_bytes(b"one")  # swapped
    assert of(folder) != before


def test_the_dataset_counts(folder: Path) -> None:
    (folder / "x.h5").write_bytes(b"x")
    assert len({of(f"{folder}/x.h5"), of(f"{folder}/x.h5:raw"), of(f"{folder}/x.h5:labels")}) == 3


def test_a_pipe_does_not_make_us_wait(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match=r"pipe: cannot be read: not a regular file; mend or remove it$"):
        of(folder)


def test_a_young_file_is_not_trusted_to_the_cache(folder: Path, tmp_path: Path) -> None:
    """It may change again without its time changing: clocks of file systems have grains."""
    cache = Cache(tmp_path / "none.json")
    cache.sha256(folder / "a")
    assert cache.entries() is None
    os.utime(folder / "a", (1, 1))
    cache.sha256(folder / "a")
    assert list(cache.entries() or {}) == [str(folder / "a")]


@pytest.mark.parametrize("damage", ["", "[1, 2]", "{", "null"])
def test_a_damaged_cache_is_no_trouble(folder: Path, tmp_path: Path, damage: str) -> None:
    (tmp_path / "hashes.json").write_text(damage)
    assert Cache(tmp_path / "hashes.json").sha256(folder / "a") == hashlib.sha256(b"one").hexdigest()


def test_a_published_folder_has_the_content_of_the_same_folder_as_an_input(folder: Path) -> None:
    files = content.measure(content.files(folder.parent, ["stack"]), Cache(Path("/nowhere/x.json")))
    assert content.of_port("stack", files) == of(folder)
    assert files["stack/sub/c"].size == 5
