"""What it means that several numbers count in the names of sections: tiles, channels, time points, or nothing.

A stack has one number. Several that always change together (`img_003_z003`, or a time and an index) are as good as one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from contract.stage import InputError
from stages.storage.names import natural_keys
from stages.storage.words import some

_ROWS, _COLUMNS = {"y", "ty", "r", "row"}, {"x", "tx", "c", "col", "column"}
_CHANNELS = {"ch", "chan", "channel"}
_MOST_CHANNELS = 8
_PERHAPS_CHANNELS = {"c", "w", "wavelength"}  # c may also be a cell, w a wafer
_SECTIONS = {"z", "s", "sec", "section", "slice"}
_TIMES = {"t", "time", "timepoint", "tp"}


class Arrangement(NamedTuple):
    """How the files of a folder make up sections.

    Attributes:
      tiles: for each section the indices of its files, row by row; None if each file is a section.
      row_numbers, column_numbers: numbers of the rows and columns of tiles in the names.
      remark: what was taken for granted about the names, for a message; None if nothing.
    """

    tiles: list[list[list[int]]] | None = None
    row_numbers: Sequence[Decimal] = ()
    column_numbers: Sequence[Decimal] = ()
    remark: str | None = None


class _Column(NamedTuple):
    """What all names have at one place.

    Attributes:
      values: number or text of each name.
      word: letters before it, in lower case.
      text: the first and the last value as the names write them, for messages.
    """

    values: tuple[Decimal | str, ...]
    word: str
    text: str

    @property
    def different(self) -> int:
        return len(set(self.values))


def arrangement(path: str, names: Sequence[str]) -> Arrangement:
    """Finds out what the numbers in the names of a folder mean.

    Args:
      path: the folder, for messages.
      names: names of its files, in order; no two have the same numbers and texts.

    Raises:
      InputError: if the names hold channels, or tiles of which some are missing, or if two numbers occur in all
        combinations and the words before them do not say what they mean.
    """
    columns = _columns(names)
    varying = [column for column in columns if column.different > 1]
    if not varying:
        return Arrangement()
    count = len(names)
    for column in varying:
        # Of a hundred, each in one file, the word cannot mean channels.
        if column.word in _CHANNELS and (column.different < count or (len(varying) == 1 and count <= _MOST_CHANNELS)):
            raise _channels(path, column, names)
    rows = [column for column in columns if column.word in _ROWS]
    across = [column for column in columns if column.word in _COLUMNS]
    unique = [column for column in varying if column.different == count]
    if any(column.word in _SECTIONS for column in unique):
        return Arrangement()
    if len(rows) == 1 and len(across) == 1 and (rows[0] in varying or across[0] in varying):
        found = _tiles(rows[0], across[0], varying)
        if found is not None:
            return found
        if not unique:
            raise InputError(
                f"{path}: names of tiles ({_listed(varying)}), but some tiles are missing, or a further number counts; "
                "give each section all its tiles, and nothing else"
            )
    if unique:
        return Arrangement()
    needed = _needed(varying, count)
    combinations = 1
    for column in needed:
        combinations *= column.different
    numbers = "two numbers" if len(needed) == 2 else f"{len(needed)} numbers"
    if any(isinstance(column.values[0], str) for column in needed):
        numbers = "a number and a word"
    if combinations > count:
        return Arrangement(
            remark=f"{path}: names differ in {numbers} ({_listed(needed)}); the sections are taken in the order of "
            f"these, from {names[0]} to {names[-1]}"
        )
    for column in needed:
        if column.word in _PERHAPS_CHANNELS:
            raise _channels(path, column, names)
    times = [column for column in needed if column.word in _TIMES]
    what = "leave one time point" if times else "put tiles together, or leave one channel"
    raise InputError(
        f"{path}: names differ in {numbers} ({_listed(needed)}), in all combinations: a stack has one; {what} in the "
        "folder, or number the sections from first to last"
    )


def section_numbers(names: Sequence[str]) -> list[Decimal] | None:
    """Returns the number of each section, if the names are the same except for one number; otherwise None.

    A number that the names hold twice (`img_003_z003`) counts as one.
    """
    varying = [column for column in _columns(names) if column.different > 1]
    if len({column.values for column in varying}) != 1:
        return None
    numbers = [value for value in varying[0].values if isinstance(value, Decimal)]
    return numbers if len(numbers) == len(names) else None


def _columns(names: Sequence[str]) -> list[_Column]:
    """Returns what the names have at each place; nothing if they are not built alike."""
    stems = [Path(name).stem for name in names]
    keys = natural_keys(stems)
    if len(keys) < 2 or len({tuple(kind for kind, _ in key) for key in keys}) > 1:
        return []
    found = []
    for k, pairs in enumerate(zip(*keys, strict=True)):
        values = tuple(value for _, value in pairs)
        before = keys[0][k - 1][1] if k else ""
        word, between = "", ""
        if isinstance(values[0], Decimal) and isinstance(before, str):
            match = re.search(r"([^\W\d_]*)([\W_]*)$", before)
            word, between = (match[1], match[2]) if match else ("", "")
        if len(set(values)) == 1:
            found.append(_Column(values, word, ""))
            continue
        by_value = dict(zip(values, stems, strict=True))
        low, high = (
            _written(by_value[value], word + between if word else "", value) for value in (min(by_value), max(by_value))
        )
        joined = " and " if len(by_value) == 2 else " to "
        found.append(_Column(values, word, f"{low}{joined}{high}"))
    return found


def _written(stem: str, word: str, value: Decimal | str) -> str:
    """Returns a number with the word before it as the name writes them: `Y01` for 1 behind `y`."""
    if isinstance(value, str):
        return value.strip("_- ") or value
    match = re.search(rf"{re.escape(word)}0*{re.escape(str(value))}(?!\d)", stem, re.IGNORECASE)
    return match[0] if match else f"{word}{value}"


def _listed(columns: Sequence[_Column]) -> str:
    return ", ".join(column.text for column in columns)


def _channels(path: str, column: _Column, names: Sequence[str]) -> InputError:
    first = column.values[0]
    kept = [name for name, value in zip(names, column.values, strict=True) if value == first]
    return InputError(
        f"{path}: the names hold {column.different} channels ({column.text}); a stack has one: leave the files of one "
        f"channel in the folder, such as {some(kept, 2)}, and move the others out"
    )


def _tiles(row: _Column, across: _Column, varying: Sequence[_Column]) -> Arrangement | None:
    """Arranges files as tiles; None if they are not, for each section, all combinations of a row and a column."""
    places = list(zip(row.values, across.values, strict=True))
    rest = [
        column
        for column in varying
        if column not in (row, across) and len(set(zip(places, column.values, strict=True))) > len(set(places))
    ]  # without the number of the tile in its section
    sections = list(zip(*(column.values for column in rest), strict=True)) if rest else [()] * len(places)
    order = {section: k for k, section in enumerate(dict.fromkeys(sections))}
    rows, columns = sorted(set(row.values)), sorted(set(across.values))
    if len(order) * len(rows) * len(columns) != len(places) or len({*zip(sections, places, strict=True)}) != len(
        places
    ):
        return None
    if rest and max(column.different for column in rest) < len(order):
        return None
    tiles = [[[0] * len(columns) for _ in rows] for _ in order]
    for k, (section, (y, x)) in enumerate(zip(sections, places, strict=True)):
        tiles[order[section]][rows.index(y)][columns.index(x)] = k
    return Arrangement(tiles, rows, columns)  # type: ignore[arg-type]


def _needed(columns: Sequence[_Column], count: int) -> list[_Column]:
    """Leaves out columns that the others make up for; those whose word is known are kept."""
    known = _ROWS | _COLUMNS | _CHANNELS | _PERHAPS_CHANNELS | _TIMES | _SECTIONS
    needed = list(columns)
    for column in sorted(columns, key=lambda column: column.word in known):
        others = [each for each in needed if each is not column]
        if others and len(set(zip(*(each.values for each in others), strict=True))) == count:
            needed = others
    return needed
