"""What a file or folder holds, as one hash: names of folders on the way do not count, content does."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from contract.ports import is_harmless, split_dataset
from runner.errors import UserError

_SETTLED_NS = 2_000_000_000  # a file younger than this may change again within the clock's grain


class File(NamedTuple):
    """A published file: its size in bytes, its time of change, the SHA-256 of its content."""

    size: int
    mtime_ns: int
    sha256: str


class Cache:
    """Hashes of files by path, size, times and inode, kept between runs: a large stack is read once, not every time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[str | int]] = {}
        self._seen: dict[str, list[str | int]] = {}
        try:
            loaded = json.loads(file.read_bytes())
            self._known = loaded if isinstance(loaded, dict) else {}
        except (OSError, ValueError):
            pass  # it only saves time

    def sha256(self, path: Path) -> str:
        """Raises OSError if the file cannot be read."""
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):  # a pipe would make us wait for ever
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        key, mark = str(path), [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]
        known = self._known.get(key)
        if known and known[:-1] == mark:
            self._seen[key] = known
            return str(known[-1])
        started = time.time_ns()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if started - info.st_mtime_ns > _SETTLED_NS:
            self._seen[key] = [*mark, digest]
        return digest

    def entries(self) -> dict[str, list[str | int]] | None:
        """What to write to the file, without what is no longer there; None where nothing is new."""
        kept = {path: entry for path, entry in self._known.items() if path in self._seen or os.path.exists(path)}
        entries = {**kept, **self._seen}
        return None if entries == self._known else entries


def files(folder: Path, names: list[str]) -> dict[str, Path]:
    """The files that `names` (of files or folders in `folder`) stand for: path below `folder` -> path, sorted.

    Links to folders are not followed, they may lead in a circle: they count as files, which cannot be read.

    Raises:
      OSError: if a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    found: dict[str, Path] = {}
    for name in names:
        top = folder / name
        if not top.is_dir():
            if os.path.lexists(top):  # a broken link as well: reading it will say so
                found[name] = top
            continue
        for parent, folders, children in os.walk(top, onerror=fail):
            for child in [*children, *(name for name in folders if os.path.islink(os.path.join(parent, name)))]:
                path = Path(parent, child)
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def measure(paths: dict[str, Path], cache: Cache) -> dict[str, File]:
    """Sizes, times and hashes of files, several read at once. Raises OSError if one cannot be read."""

    def one(path: Path) -> File:
        info = path.stat()
        return File(info.st_size, info.st_mtime_ns, cache.sha256(path))

    with ThreadPoolExecutor(max_workers=4) as pool:
        try:
            return dict(zip(paths, pool.map(one, paths.values()), strict=True))
        except BaseException:  # Ctrl-C: do not read the rest first
            pool.shutdown(cancel_futures=True)
            raise


def combined(hashes: dict[str, str]) -> str:
    """One hash of a folder: relative path -> hash of the file. A single file's is its own."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()


def of_input(path: str, cache: Cache, deep: bool = True) -> str:
    """The content of what the user brought: a file, with `:dataset` where one was named, or a folder.

    Args:
      deep: whether all below the folder counts; otherwise only its sections, as the stages read them.

    Raises:
      UserError: if it cannot be read.
    """
    name, dataset = split_dataset(path)
    top = Path(name)
    try:
        if top.is_file():
            digest = cache.sha256(top)
            return digest if dataset is None else combined({dataset: digest})
        names = os.listdir(top)
        if not deep:
            names = [name for name in names if not is_harmless(name) and not (top / name).is_dir()]
        children = files(top, names)
        return combined({key: file.sha256 for key, file in measure(children, cache).items()})
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{error.filename or path}: cannot be read: {reason}; mend or remove it") from None


def of_port(name: str, published: dict[str, File]) -> str:
    """The content of one published file or folder, called `name`."""
    if name in published:
        return published[name].sha256
    inside = f"{name}/"
    return combined({key[len(inside) :]: file.sha256 for key, file in published.items() if key.startswith(inside)})
