"""What a folder or file holds, as one hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.fingerprint import content
from floodrunner.runner.fingerprint.content import Cache


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
    with pytest.raises(UserError, match=r"pipe: cannot be read: not a regular file; correct or remove it$"):
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


def sections(folder: Path) -> str:
    return content.of_input(str(folder), Cache(Path("/nowhere/hashes.json")), deep=False)


def test_of_a_folder_of_sections_what_is_read_counts(folder: Path) -> None:
    """What a file manager leaves, a folder beside the sections, a link in a circle: no stage reads them."""
    before, whole = sections(folder), of(folder)
    for name in (".DS_Store", "Thumbs.db", "a.png:Zone.Identifier"):
        (folder / name).write_bytes(b"x")
    (folder / "sub" / "more").write_bytes(b"x")
    assert sections(folder) == before
    assert of(folder) != whole
    (folder / "circle").symlink_to(folder)
    assert sections(folder) == before
    (folder / "a").write_bytes(b"changed")
    assert sections(folder) != before


def test_a_link_that_leads_in_a_circle_is_refused_where_all_counts(folder: Path) -> None:
    (folder / "sub" / "circle").symlink_to(folder)
    with pytest.raises(UserError, match=r"sub/circle: cannot be read: not a regular file; correct or remove it$"):
        of(folder)


def test_a_folder_that_cannot_be_read_is_not_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuses(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuses)  # root may read everything
    with pytest.raises(UserError, match=r"sub: cannot be read: permission denied; correct or remove it$"):
        of(folder)


def test_what_is_gone_leaves_the_cache(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "hashes.json"
    for name in ("a", "b"):
        os.utime(folder / name, (1, 1))
    cache = Cache(file)
    content.measure({"a": folder / "a", "b": folder / "b"}, cache)
    file.write_text(json.dumps(cache.entries()))
    assert Cache(file).entries() is None
    (folder / "a").unlink()
    assert list(Cache(file).entries() or {}) == [str(folder / "b")]


def test_a_file_changed_with_its_time_set_back_is_read_again(folder: Path, tmp_path: Path) -> None:
    """As `cp -p` and `rsync -t` do it."""
    file = tmp_path / "hashes.json"
    os.utime(folder / "a", (1, 1))
    cache = Cache(file)
    cache.sha256(folder / "a")
    file.write_text(json.dumps(cache.entries()))
    (folder / "a").write_bytes(b"two")
    os.utime(folder / "a", (1, 1))
    assert Cache(file).sha256(folder / "a") == hashlib.sha256(b"two").hexdigest()
