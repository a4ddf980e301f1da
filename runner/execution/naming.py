"""Names run folders after the data that they are of."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from floodrunner.contract.ports import split_dataset
from floodrunner.runner import wsl
from floodrunner.runner.errors import UserError

_LONGEST = 120
"""Bytes of a name; a file system takes 255, and engines add to it."""


def name_of(path: str, parents: int = 0) -> str:
    """A name for a folder, after an input: `/data/new pictures` gives `new-pictures`, `vol.h5:raw` gives `vol-raw`.

    Args:
      path: the input, as a user writes it; a dataset may follow. It need not exist.
      parents: how many of the folders that it is in are part of the name: with 1, `b/images` gives `b-images`.

    Returns:
      Letters, digits, "-", "_" and "."; the file's suffix is left out. "" if the path has nothing of these, as "/".
    """
    file, dataset = split_dataset(os.path.expanduser(path))
    with contextlib.suppress(UserError):  # whoever opens the file says what is wrong
        file = wsl.here(file)
    there = Path(os.path.abspath(file))
    stem = there.name if os.path.isdir(there) else there.stem
    above = [parent.name for parent in there.parents[:parents]][::-1]
    return fit("-".join(part for part in (*above, stem, dataset or "") if part))


def fit(name: str) -> str:
    """The name without what folders cannot bear, or shells take for something else."""
    plain = re.sub(r"-{2,}", "-", re.sub(r"[^\w.-]", "-", name)).strip("-.")
    return plain.encode()[:_LONGEST].decode(errors="ignore").strip("-.")
