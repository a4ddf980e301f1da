"""Makes one hash from the content of a file or folder. The location does not count."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from floodrunner.contract.ports import is_harmless, is_hdf5, split_dataset
from floodrunner.runner.errors import UserError
from floodrunner.runner.fingerprint import hdf5_parts

# A file that changed less than this before may change again without a new time stamp, so its hash is not kept.
_SETTLED_NS = 2_000_000_000


class File(NamedTuple):
    """A published file: size in bytes, time of last change, SHA-256 of its content. `step.json` holds it as a list."""

    size: int
    mtime_ns: int
    sha256: str


class NotRead(Exception):
    """The hash of a file is not known, and there was no time to read the file."""


Entries = dict[str, list[str | int]]
"""Path of a file -> what tells whether it has changed, and its hash."""


class Cache:
    """Hashes of files, kept between runs, so that a large stack is not read every time.

    A file counts as unchanged if path, size, times and inode are the same.

    Args:
      file: the file to which an earlier run wrote `entries`; may be missing.
      most_bytes: how much is read of files whose hash is not known, in all.
      more: entries of another cache; those that are used become entries of this one.
    """

    def __init__(self, file: Path, most_bytes: float = math.inf, more: Entries | None = None) -> None:
        self._file = file
        self._bytes_left = most_bytes
        self._more = more or {}
        self._known: Entries = {}
        self._seen: Entries = {}
        try:
            loaded = json.loads(file.read_bytes())
            entries = loaded.items() if isinstance(loaded, dict) else ()
            self._known = {path: entry for path, entry in entries if isinstance(entry, list) and entry}
        except (OSError, ValueError, RecursionError):
            pass  # without the cache, all files are read again

    def sha256(self, path: Path) -> str:
        """The hash of a file's content.

        Raises:
          NotRead: if the file is not known, and larger than what may still be read.
          OSError: if the file cannot be read.
        """
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):  # reading a pipe could block forever
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        key, mark = str(path), [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]
        for known in (self._seen.get(key), self._known.get(key), self._more.get(key)):
            if known and known[:-1] == mark:
                self._seen[key] = known
                return str(known[-1])
        if info.st_size > self._bytes_left:
            raise NotRead(key)
        self._bytes_left -= info.st_size
        started = time.time_ns()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if started - info.st_mtime_ns > _SETTLED_NS:
            self._seen[key] = [*mark, digest]
        return digest

    def below(self, path: str) -> dict[str, tuple[int, str]]:
        """Size and hash of each known file in a folder, by its path in the folder; of a file, by ""."""
        found = {}
        for name, entry in self._known.items():
            size, digest = entry[0], entry[-1]
            if (name == path or name.startswith(f"{path}/")) and isinstance(size, int) and isinstance(digest, str):
                found[name[len(path) + 1 :]] = (size, digest)
        return found

    def used(self) -> Entries:
        """The entries that were asked for."""
        return dict(self._seen)

    def entries(self) -> Entries | None:
        """The entries to save, without files that no longer exist; None if nothing has changed."""
        kept = {path: entry for path, entry in self._known.items() if path in self._seen or os.path.exists(path)}
        entries = {**kept, **self._seen}
        return None if entries == self._known else entries


def files(folder: Path, names: list[str]) -> dict[str, Path]:
    """Lists all files in the given files and folders.

    Links to folders are not followed, because they may form a loop. Such links count as files, and reading them fails.

    Args:
      names: files or folders in `folder`.

    Returns:
      Path relative to `folder` -> path, sorted.

    Raises:
      OSError: if a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    found: dict[str, Path] = {}
    for name in names:
        top = folder / name
        if not top.is_dir():
            if os.path.lexists(top):  # also a broken link, so that reading it reports the error
                found[name] = top
            continue
        for parent, folders, children in os.walk(top, onerror=fail):
            for child in [*children, *(name for name in folders if os.path.islink(os.path.join(parent, name)))]:
                path = Path(parent, child)
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def measure(paths: dict[str, Path], cache: Cache) -> dict[str, File]:
    """Sizes, times and hashes of files, reading several at a time. Raises OSError if a file cannot be read."""

    def one(path: Path) -> File:
        info = path.stat()
        return File(info.st_size, info.st_mtime_ns, cache.sha256(path))

    with ThreadPoolExecutor(max_workers=4) as pool:
        try:
            return dict(zip(paths, pool.map(one, paths.values()), strict=True))
        except BaseException:  # Ctrl-C: do not read the remaining files
            pool.shutdown(cancel_futures=True)
            raise


def combined(hashes: dict[str, str]) -> str:
    """One hash for a folder, from the hashes of its files by relative path."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


def of_input(path: str, cache: Cache, deep: bool = True) -> str:
    """The hash of a user's input. Other files that an HDF5 file takes data from count as part of it.

    Args:
      path: a file, which may carry a dataset (`image.h5:raw`), or a folder.
      deep: whether files in sub-folders count too; stages that read sections do not look into sub-folders.

    Raises:
      UserError: if the input cannot be read.
    """
    name, dataset = split_dataset(path)
    top = Path(name)
    try:
        if top.is_file():
            digest = cache.sha256(top)
            parts = hdf5_parts.parts(top, dataset) if is_hdf5(name) else []
            if parts:  # by number, because the location does not count
                hashes = measure({f"part {number}": part for number, part in enumerate(parts)}, cache)
                digest = combined({"": digest, **{key: file.sha256 for key, file in hashes.items()}})
            return digest if dataset is None else combined({dataset: digest})
        return combined({key: file.sha256 for key, file in measure(of_folder(top, deep), cache).items()})
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{error.filename or path}: cannot be read: {reason}; correct or remove it") from None


def of_folder(top: Path, deep: bool) -> dict[str, Path]:
    """The files of a folder that count as its content, by their path in it. Raises OSError if it cannot be read."""
    names = os.listdir(top)
    if not deep:
        names = [name for name in names if not is_harmless(name) and not (top / name).is_dir()]
    return files(top, names)


def of_port(name: str, published: dict[str, File]) -> str:
    """The hash of a published file or folder.

    Args:
      name: name of the file or folder in the step's folder.
      published: path relative to the step's folder -> file.
    """
    if name in published:
        return published[name].sha256
    inside = f"{name}/"
    return combined({key[len(inside) :]: file.sha256 for key, file in published.items() if key.startswith(inside)})
