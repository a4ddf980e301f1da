"""Other data is told from former data without reading it all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from floodrunner.runner.fingerprint import content
from floodrunner.runner.fingerprint.content import Cache
from floodrunner.runner.fingerprint.glance import differs

FILES = {"a.png": "aaaa", "b.png": "bbbb", "c.png": "cccc"}


class Watched(Cache):
    """A cache that counts the files that it is asked for."""

    asked = 0

    def sha256(self, path: Path) -> str:
        self.asked += 1
        return super().sha256(path)


def folder(at: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(text)
        os.utime(at / name, (1e9, 1e9))  # settled, so that its hash is kept
    return str(at)


def remembered(at: Path, path: str, deep: bool = False) -> tuple[str, Watched]:
    """The content of a former input, and the cache of a later run."""
    cache = Cache(at / "hashes.json")
    digest = content.of_input(path, cache, deep)
    (at / "hashes.json").write_text(json.dumps(cache.entries()))
    return digest, Watched(at / "hashes.json")


@pytest.mark.parametrize(
    ("files", "is_other", "read"),
    [
        (FILES, False, 3),
        ({**FILES, "d.png": "dddd"}, True, 0),
        ({**FILES, "b.png": "longer"}, True, 0),
        ({**FILES, "a.png": "AAAA"}, True, 1),
        ({**FILES, "Thumbs.db": "x", "sub/x": "x"}, False, 3),
    ],
    ids=["the same", "one more", "another size", "one size", "what does not count"],
)
def test_folders(tmp_path: Path, files: dict[str, str], is_other: bool, read: int) -> None:
    former = folder(tmp_path / "former", {**FILES, ".hidden": "x"})
    digest, cache = remembered(tmp_path, former)
    given = folder(tmp_path / "given", files)
    assert differs(given, former, digest, cache, deep=False) is is_other
    assert cache.asked == read
    assert (content.of_input(given, Cache(tmp_path / "none"), deep=False) == digest) is not is_other


def test_what_is_not_known_is_not_told(tmp_path: Path) -> None:
    former, other = folder(tmp_path / "former", FILES), folder(tmp_path / "other", {"a.png": "other"})
    digest, cache = remembered(tmp_path, former)
    assert differs(other, former, digest, cache, deep=False)
    assert not differs(other, former, "another content", cache, deep=False)
    assert not differs(other, former, digest, Cache(tmp_path / "none"), deep=False)
    assert not differs(other, "", digest, cache, deep=False)
    (tmp_path / "hashes.json").write_text(json.dumps({f"{former}/a.png": ["x"], former: [1, 2]}))
    assert not differs(other, former, digest, Cache(tmp_path / "hashes.json"), deep=False)


def test_files_in_folders_count_among_pictures(tmp_path: Path) -> None:
    former = folder(tmp_path / "former", {"a/image.png": "a", "b/image.png": "b"})
    digest, cache = remembered(tmp_path, former, deep=True)
    assert not differs(folder(tmp_path / "same", {"a/image.png": "a", "b/image.png": "b"}), former, digest, cache, True)
    assert differs(folder(tmp_path / "other", {"a/image.png": "a"}), former, digest, cache, deep=True)


def test_files_and_datasets(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    folder(tmp_path, {"x.h5": "aaaa", "y.h5": "aaaa", "z.h5": "longer"})
    digest, cache = remembered(tmp_path, former := f"{tmp_path}/x.h5:raw")
    told = [differs(f"{tmp_path}/{name}", former, digest, cache, False) for name in ("x.h5:b", "x.h5", "z.h5:raw", "")]
    assert told == [True] * 4
    assert not differs(f"{tmp_path}/y.h5:raw", former, digest, cache, deep=False)
    assert cache.asked == 0
