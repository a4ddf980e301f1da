"""Tells whether an input has other content than a former one, and reads as little as possible for that."""

from __future__ import annotations

import os
from pathlib import Path

from floodrunner.contract.ports import is_harmless, split_dataset
from floodrunner.runner.fingerprint import content
from floodrunner.runner.fingerprint.content import Cache


def differs(path: str, former: str, former_content: str, cache: Cache, deep: bool) -> bool:
    """Whether an input surely has other content than a former one had.

    Names and sizes tell this at once for most data, and the first file for sections of one size.

    Args:
      path: the input, as in `content.of_input`; `deep` too.
      former: where the former input was.
      former_content: the hash of its content.
      cache: knows the hashes of the files of the former input, if it was in use where this cache is from.

    Returns:
      False also if there is no way but to hash the whole input.

    Raises:
      OSError: if a file cannot be read.
    """
    (file, dataset), (former_file, former_dataset) = split_dataset(path), split_dataset(former)
    known = cache.below(former_file)
    if "" in known:  # a file
        digest = known[""][1]
        if (digest if former_dataset is None else content.combined({former_dataset: digest})) != former_content:
            return False  # the file takes data from others, or has changed since
        return dataset != former_dataset or not os.path.isfile(file) or os.path.getsize(file) != known[""][0]
    if not deep:
        known = {name: entry for name, entry in known.items() if "/" not in name and not is_harmless(name)}
    if content.combined({name: digest for name, (_, digest) in known.items()}) != former_content:
        return False
    if not os.path.isdir(file):
        return True
    there = content.of_folder(Path(file), deep)
    if {name: found.stat().st_size for name, found in there.items()} != {
        name: size for name, (size, _) in known.items()
    }:
        return True
    return any(cache.sha256(found) != known[name][1] for name, found in there.items())
