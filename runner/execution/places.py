"""Where inputs are, and whether the same data is still there."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from floodrunner.contract.ports import is_harmless, split_dataset
from floodrunner.runner.fingerprint import content

_LEAST_KEPT = 0.1
"""Of an edited stack more files keep their names. Less is chance: a README or a list that goes with every stack."""


def location_of(path: str) -> str:
    """An input with links to folders followed: `current/images` may be in another folder today.

    A link to a file stays: some tools keep every file as a link, whose target changes when the file is edited.
    """
    file, dataset = split_dataset(path)
    parent, name = os.path.split(file)
    real = os.path.realpath(file) if os.path.isdir(file) else os.path.join(os.path.realpath(parent), name)
    return _with(real, dataset)


def today(path: str, former: str, workdir: Path) -> str:
    """Where an input of a past run is now: where it was; if it is gone, the same place as seen from the run folder.

    The second is so if the run folder was moved together with its data. A copy of a run folder stays one of the data
    of the original.

    Args:
      path: where it was, absolute.
      former: where the run folder was then; "" if no record says so.
      workdir: where the run folder is now.
    """
    (file, dataset), now = split_dataset(path), os.path.realpath(workdir)
    if not former or former == now or os.path.lexists(file):
        return path
    moved = os.path.normpath(os.path.join(now, os.path.relpath(file, former)))
    return _with(moved, dataset) if os.path.lexists(moved) else path


def names_in(path: str, deep: bool) -> list[str]:
    """The names of the files in a folder, sorted; [] for a file, and for what cannot be read.

    Args:
      deep: whether files in sub-folders count too.
    """
    try:
        found = content.of_folder(Path(split_dataset(path)[0]), deep)
    except OSError:
        return []
    return [name for name in found if not is_harmless(os.path.basename(name))]


def keeps_names(former: Collection[str], now: Collection[str]) -> bool:
    """Whether files were at most edited, added or removed: enough names are still there. True if there were none."""
    return len({*former} & {*now}) >= _LEAST_KEPT * min(len(former), len(now))


def _with(file: str, dataset: str | None) -> str:
    return file if dataset is None else f"{file}:{dataset}"
