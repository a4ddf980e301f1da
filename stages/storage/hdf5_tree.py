"""What is in an HDF5 file: its datasets by path, also behind soft links and links to other files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
from h5py import h5d, h5g, h5l, h5o, h5p

from contract.stage import InputError
from stages.storage.hdf5 import reading

_MOST_OBJECTS = 100_000


def datasets(file: h5py.File, where: str | Path) -> dict[str, h5py.Dataset]:
    """Lists the datasets of a file by their path, each once; a path of its own counts before a link to it.

    Raises:
      InputError: if the file is damaged, or holds more than 100,000 groups and datasets.
    """
    found: dict[str, h5py.Dataset] = {}
    linked: list[tuple[str, h5py.Group | h5py.Dataset]] = []
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[str, h5py.Group | h5py.Dataset]] = [("", file)]
    with reading(where):
        while waiting or linked:
            path, item = (waiting or linked).pop()
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


def _children(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset, bool]]:
    for raw in group.id:
        is_link = group.id.links.get_info(raw).type != h5l.TYPE_HARD
        if is_link and raw not in group.id:  # it leads to nothing
            continue
        item = opened(group, raw)
        if item is not None:
            yield raw.decode("utf-8", "replace"), item, is_link


def opened(group: h5py.Group, name: bytes) -> h5py.Group | h5py.Dataset | None:
    """Opens what a group holds under a name; None for a named type, which holds no data."""
    kind = h5o.get_info(group.id, name).type
    if kind == h5o.TYPE_GROUP:
        return h5py.Group(h5g.open(group.id, name))
    if kind != h5o.TYPE_DATASET:
        return None
    # Without this, HDF5 looks for external files with the data in the current folder, not beside this file. It must be
    # so each time that the dataset is opened.
    access = h5p.create(h5p.DATASET_ACCESS)
    access.set_efile_prefix(b"${ORIGIN}")
    return h5py.Dataset(h5d.open(group.id, name, access))
