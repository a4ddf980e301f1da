"""What is in an HDF5 file: its datasets by path, also behind soft links and links to other files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import h5py
from h5py import h5d, h5g, h5l, h5o, h5p

from floodrunner.contract.hdf5 import linked_files
from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import reading
from floodrunner.stages.storage.words import shown

_MOST_OBJECTS = 100_000

Item: TypeAlias = h5py.Group | h5py.Dataset


def datasets(file: h5py.File, where: str | Path) -> dict[str, h5py.Dataset]:
    """Lists the datasets of a file by their path, each once; a path of its own counts before a link to it.

    Raises:
      InputError: if the file is damaged, or holds more than 100,000 groups and datasets.
    """
    found: dict[str, h5py.Dataset] = {}
    linked: list[tuple[str, Item]] = []
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[str, Item]] = [("", file)]
    with reading(where):
        while waiting or linked:
            path, item = waiting.pop() if waiting else linked.pop(0)
            info = h5o.get_info(item.id)
            if (info.fileno, info.addr) in seen:
                continue
            seen.add((info.fileno, info.addr))
            if len(seen) > _MOST_OBJECTS:
                raise InputError(
                    f"{where}: holds more than {_MOST_OBJECTS:,} groups and datasets; name the one you mean, as in "
                    f"{where}:{next(iter(found), 'raw')}"
                )
            if isinstance(item, h5py.Dataset):
                found[path] = item
                continue
            for name, child, is_link in _children(item):
                (linked if is_link else waiting).append((f"{path}/{name}".lstrip("/"), child))
    return dict(sorted(found.items()))


def find(file: h5py.File, path: str, where: str | Path) -> Item | None:
    """Finds a group or dataset by its path; None if there is none.

    Raises:
      InputError: if the file is damaged, or the path leads over a link to nothing.
    """
    item: Item | None = file
    with reading(where):
        for name in path.strip("/").split("/"):
            if not isinstance(item, h5py.Group):
                return None
            key = os.fsencode(name)
            if not item.id.links.exists(key):
                return None
            target = _missing_target(item, key)
            if target is not None:
                raise InputError(
                    f"{where}: {shown(path)} is a link to {shown(target)}, where there is nothing; put the data there, "
                    "or name another dataset"
                )
            item = _opened(item, key)
    return item


def _children(group: h5py.Group) -> Iterator[tuple[str, Item, bool]]:
    for key in group.id:
        if _missing_target(group, key) is None and (item := _opened(group, key)) is not None:
            yield key.decode("utf-8", "replace"), item, group.id.links.get_info(key).type != h5l.TYPE_HARD


def _missing_target(group: h5py.Group, key: bytes) -> str | None:
    """Returns what a link leads to if there is nothing; None for what can be opened."""
    kind = group.id.links.get_info(key).type
    if kind == h5l.TYPE_HARD:
        return None
    target = group.id.links.get_val(key)
    if kind == h5l.TYPE_SOFT:
        return None if _leads_somewhere(group, key) else os.fsdecode(target)
    file, path = (os.fsdecode(part) for part in target)
    # The file comes first: HDF5 would open a pipe, and wait.
    there = linked_files(group.file.filename, file) and _leads_somewhere(group, key)
    return None if there else f"{path} in {file}"


def _leads_somewhere(group: h5py.Group, key: bytes) -> bool:
    try:
        return bool(h5o.exists_by_name(group.id, key))
    except (LookupError, OSError, RuntimeError, ValueError):  # links in a ring, or a file that cannot be read
        return False


def _opened(group: h5py.Group, key: bytes) -> Item | None:
    """Opens what a group holds under a name; None for a named type, which holds no data."""
    kind = h5o.get_info(group.id, key).type
    if kind == h5o.TYPE_GROUP:
        return h5py.Group(h5g.open(group.id, key))
    if kind != h5o.TYPE_DATASET:
        return None
    # Without this prefix, HDF5 looks for external files with the data in the current folder, not beside this file.
    access = h5p.create(h5p.DATASET_ACCESS)
    access.set_efile_prefix(b"${ORIGIN}")
    try:
        return h5py.Dataset(h5d.open(group.id, key, access))
    except OSError:  # HDF5 has it open without prefix, because it is the source of a virtual dataset
        return h5py.Dataset(h5d.open(group.id, key))
