"""What names of files have at each place: numbers, what the words before them mean, and which of them count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from floodrunner.stages.storage.names import natural_keys

_WORDS = {
    "tile": "tile fov field pos position site",
    "time": "t time timepoint tp",
    "channel": "ch chan channel wavelength cy alexa",
    "wafer": "w wafer",
    "section": "z s sec section slice",
    "row": "y ty r row",
    "column": "x tx c col column",
}
"""What a number means, by the word before it. If one makes up for another, the one further down is kept.

`c` without a row is a channel, and so is `w` as the last number; `r` and a wafer only count before a section.
"""

_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}

_KINDS = {
    *("dapi", "hoechst", "gfp", "egfp", "yfp", "cfp", "rfp", "mcherry", "fitc", "tritc", "brightfield", "bf", "dic"),
    *("bse", "esb", "inlens", "raw", "image", "images", "label", "labels", "mask", "masks", "seg"),
}
"""Words that tell files of one section apart: dyes, detectors of electron microscopes, images and labels."""


class Column(NamedTuple):
    """What all names have at one place.

    Attributes:
      values: number or text of each name.
      word: letters before a number, in lower case.
      meaning: a key of `_WORDS`; `kind` for words of `_KINDS`; or empty.
    """

    values: tuple[Decimal | str, ...]
    word: str
    meaning: str

    @property
    def different(self) -> int:
        return len(set(self.values))


def columns_of(names: Sequence[str]) -> list[Column]:
    """Returns what the names have at each place; nothing if they are not built alike."""
    # In 2024-01-31T10-15-00 the T is no word.
    stems = [re.sub(r"(\d{4}-?\d\d-?\d\d)T(?=\d)", r"\1_", Path(name).stem) for name in names]
    keys = natural_keys(stems)
    if len(keys) < 2 or len({tuple(kind for kind, _ in key) for key in keys}) > 1:
        return []
    found = []
    for k, pairs in enumerate(zip(*keys, strict=True)):
        values = tuple(value for _, value in pairs)
        if isinstance(values[0], str):
            kinds = {frozenset(_KINDS & set(re.findall(r"[^\W\d_]+", str(value)))) for value in values}
            found.append(Column(values, "", "kind" if len(kinds) > 1 and all(kinds) else ""))
        else:
            match = re.search(r"([^\W\d_]*)[\W_]*$", str(keys[0][k - 1][1]) if k else "")
            word = match[1] if match else ""
            found.append(Column(values, word, _MEANINGS.get(word, "")))
    return found


def counted_of(varying: Sequence[Column], running: Sequence[Column]) -> list[Column]:
    """Returns the columns that tell all files apart together, without those that the others make up for.

    A running number of all files counts only if the others do not tell them apart. Those whose words are not known are
    the first to be left out.
    """
    rest = [column for column in varying if column not in running]
    counted = rest if _tell_apart(rest) else list(running[:1]) or list(varying)
    ranks = ["", "kind", *_WORDS]
    for column in sorted(counted, key=lambda column: ranks.index(column.meaning)):
        others = [each for each in counted if each is not column]
        if _tell_apart(others):
            counted = others
    return counted


def _tell_apart(columns: Sequence[Column]) -> bool:
    rows = list(zip(*(column.values for column in columns), strict=True))
    return bool(rows) and len(set(rows)) == len(rows)


def differ(column: Column, columns: Sequence[Column], names: Sequence[str]) -> str:
    """Writes two names that differ in one column and, if there are such, in no other."""
    others = [each for each in columns if each is not column]
    first: dict[tuple[Decimal | str, ...], int] = {}
    for k, value in enumerate(column.values):
        one = first.setdefault(tuple(each.values[k] for each in others), k)
        if column.values[one] != value:
            return f"{names[one]} and {names[k]}"
    other = next(k for k, value in enumerate(column.values) if value != column.values[0])
    return f"{names[0]} and {names[other]}"
