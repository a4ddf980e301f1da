"""Lists the other files that an HDF5 file takes data from: virtual datasets, external storage, links to other files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract.hdf5 import source_files

_MOST_FILES = 10_000
_MOST_OBJECTS = 100_000


def parts(path: str | Path) -> list[Path]:
    """Lists the files that an HDF5 file takes data from, and those that these take data from, and so on.

    Files that are missing are left out, and damaged files have no parts: the stage that reads the input refuses both,
    if it needs them.

    Args:
      path: an HDF5 file, without dataset.

    Returns:
      The files, without `path`, each once, in the order in which they are found; at most 10,000.
    """
    found: dict[Path, None] = {Path(path): None}
    waiting = [Path(path)]
    while waiting:
        file = waiting.pop(0)
        for name, is_hdf5 in _sources(file):
            for source in source_files(file, name):
                if source not in found and len(found) <= _MOST_FILES:
                    found[source] = None
                    if is_hdf5:
                        waiting.append(source)
    return list(found)[1:]


def _sources(path: Path) -> list[tuple[str, bool]]:
    """Lists names of other files in an HDF5 file, each once, and whether they are HDF5 files too."""
    import h5py

    names: dict[tuple[str, bool], None] = {}
    # h5py raises almost anything for a damaged file; the stage that reads the file says what is wrong with it.
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        for name, is_hdf5 in _walk(file):
            names[name, is_hdf5] = None
    return list(names)


def _walk(file: Any) -> Iterator[tuple[str, bool]]:
    from h5py import h5d, h5g, h5l, h5o

    seen: set[tuple[int, int]] = set()
    waiting = [file.id]
    while waiting and len(seen) < _MOST_OBJECTS:
        item = waiting.pop()
        info = h5o.get_info(item)
        if (info.fileno, info.addr) in seen:
            continue
        seen.add((info.fileno, info.addr))
        if isinstance(item, h5d.DatasetID):
            plan = item.get_create_plist()
            if plan.get_layout() == h5d.VIRTUAL:
                yield from ((plan.get_virtual_filename(k), True) for k in range(plan.get_virtual_count()))
            yield from ((os.fsdecode(plan.get_external(k)[0]), False) for k in range(plan.get_external_count()))
            continue
        group = item if isinstance(item, h5g.GroupID) else h5o.open(item, b"/")
        for name in group:
            kind = group.links.get_info(name).type
            if kind == h5l.TYPE_EXTERNAL:
                yield os.fsdecode(group.links.get_val(name)[0]), True
            elif kind == h5l.TYPE_HARD:
                child = h5o.open(group, name)
                if isinstance(child, (h5g.GroupID, h5d.DatasetID)):
                    waiting.append(child)
