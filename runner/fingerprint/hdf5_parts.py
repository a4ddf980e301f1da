"""Lists the other files that an HDF5 file takes data from: virtual datasets, external storage, links to other files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from floodrunner.contract.hdf5 import linked_files, source_files
from floodrunner.runner import installed
from floodrunner.runner.errors import UserError

_MOST_FILES = 10_000
_MOST_OBJECTS = 100_000
_MOST_LINKS = 100  # on the way to one object; HDF5 itself follows 16


class _Source(NamedTuple):
    """Another file, as its name is written, and the object in it: a path, or None for a file that is no HDF5 file."""

    file: str
    target: str | None
    is_virtual: bool


def parts(path: str | Path, dataset: str | None = None) -> list[Path]:
    """Lists the files that an HDF5 file takes data from, and those that these take data from, and so on.

    Files that are missing are left out, and damaged files have no parts: the stage that reads the input refuses both,
    if it needs them.

    Args:
      path: an HDF5 file, without dataset.
      dataset: the dataset that is read; without it, all count.

    Returns:
      The files, without `path`, each once, in the order in which they are found.

    Raises:
      UserError: if they are more than 10,000, a file holds more than 100,000 groups and datasets, or h5py is missing.
    """
    found: dict[Path, None] = {Path(path): None}
    waiting: dict[Path, dict[str, None]] = {Path(path): {dataset or "/": None}}
    seen: set[tuple[Path, str]] = set()
    while waiting:
        file = next(iter(waiting))
        targets = tuple(target for target in waiting.pop(file) if (file, target) not in seen)
        seen |= {(file, target) for target in targets}
        for name, target, is_virtual in _sources(file, targets):
            for source in source_files(file, name) if is_virtual else linked_files(file, name):
                found[source] = None
                if target is not None:
                    waiting.setdefault(source, {})[target] = None
        if len(found) - 1 > _MOST_FILES:
            raise UserError(f"{path}: takes its data from more than {_MOST_FILES:,} other files; copy it into one file")
    return list(found)[1:]


def _sources(path: Path, targets: tuple[str, ...]) -> tuple[_Source, ...]:
    """Lists what objects of a file take from other files, each once."""
    try:
        info = path.stat()
        return _read(path, targets, info.st_size, info.st_mtime_ns, info.st_ino)
    except UserError:
        raise
    except Exception:  # h5py raises almost anything; the stage that reads the file says what is wrong with it
        return ()


@lru_cache(maxsize=1000)  # a run asks several times for each step: for the fingerprint, and for what a container sees
def _read(path: Path, targets: tuple[str, ...], *state_of_file: int) -> tuple[_Source, ...]:
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            f"{path}: finding the files that it takes data from needs h5py, which does not load here ({error}); "
            f"install again in a new environment: {installed.command()}"
        ) from None
    found: dict[_Source, None] = {}
    with h5py.File(path, "r") as file:
        for number, item in enumerate(_objects(file.id, targets, found)):
            if number >= _MOST_OBJECTS:
                raise UserError(
                    f"{path}: holds more than {_MOST_OBJECTS:,} groups and datasets; name the one you mean, as in "
                    f"{path}:raw, or copy it into a file of its own"
                )
            _add_storage(item, found)
    return tuple(found)


def _objects(file: Any, targets: tuple[str, ...], found: dict[_Source, None]) -> Iterator[Any]:
    """Yields each object at a path in `targets`, and all below it. What leads into other files is put into `found`.

    Each object that cannot be read is left out by itself: the stage says what is wrong with it, if it needs it.
    """
    from h5py import h5g, h5o

    root = h5o.open(file, b"/")
    seen: set[int] = set()
    waiting = [(root, os.fsencode(target)) for target in reversed(targets)]
    while waiting:
        item = None
        with contextlib.suppress(Exception):
            item = _follow(root, *waiting.pop(), found)
            address = None if item is None else h5o.get_info(item).addr
            if address is None or address in seen:
                continue
            seen.add(address)
        if item is None:
            continue
        yield item
        if isinstance(item, h5g.GroupID):
            with contextlib.suppress(Exception):
                for name in item:
                    waiting.append((item, name))


def _follow(root: Any, start: Any, path: bytes, found: dict[_Source, None]) -> Any:
    """Opens the object at a path, over soft links; None if there is none, or it is in another file."""
    from h5py import h5g, h5l, h5o

    item = start
    names, links = path.split(b"/")[::-1], 0
    while names:
        name = names.pop()
        if name in (b"", b"."):
            continue
        if not isinstance(item, h5g.GroupID) or not item.links.exists(name):
            return None
        kind = item.links.get_info(name).type
        if kind == h5l.TYPE_HARD:
            item = h5o.open(item, name)
            continue
        target = item.links.get_val(name)
        if kind == h5l.TYPE_EXTERNAL:
            other, inside = target
            found[_Source(os.fsdecode(other), os.fsdecode(b"/".join((inside, *reversed(names)))), False)] = None
            return None
        links += 1
        if kind != h5l.TYPE_SOFT or links > _MOST_LINKS:
            return None
        item = root if target.startswith(b"/") else item
        names += target.split(b"/")[::-1]
    return item


def _add_storage(item: Any, found: dict[_Source, None]) -> None:
    """Puts the sources of a virtual dataset, and the files of external storage, into `found`."""
    from h5py import h5d

    if not isinstance(item, h5d.DatasetID):
        return
    with contextlib.suppress(Exception):
        plan = item.get_create_plist()
        for k in range(plan.get_external_count()):
            found[_Source(os.fsdecode(plan.get_external(k)[0]), None, False)] = None
        if plan.get_layout() == h5d.VIRTUAL:
            for k in range(plan.get_virtual_count()):
                with contextlib.suppress(Exception):  # a name that is no text
                    target = plan.get_virtual_dsetname(k)
                    source = _Source(plan.get_virtual_filename(k), "/" if "%" in target else target, True)
                    found[source] = None
