"""What it means that several numbers count in the names of sections: tiles, channels, time points, or nothing.

A stack has one number. Several that always change together (`img_003_z003`, or a time and an index) are as good as one.
What others mean is decided by the words before them, not by whether all combinations are there: a file may be missing.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.name_columns import Column, columns_of, counted_of, differ
from floodrunner.stages.storage.words import some

_MOST_CHANNELS = 7


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


def arrangement(path: str, names: Sequence[str]) -> Arrangement:
    """Finds out what the numbers in the names of a folder mean.

    Args:
      path: the folder, for messages.
      names: names of its files, in order; no two have the same numbers and texts.

    Raises:
      InputError: if the names hold channels, time points, or tiles that do not make up whole sections.
    """
    columns = columns_of(names)
    varying = [column for column in columns if column.different > 1]
    rows, across = ([column for column in columns if column.meaning == meaning] for meaning in ("row", "column"))
    grid = [*rows, *across] if len(rows) == len(across) == 1 and {*rows, *across} & {*varying} else []
    running = [column for column in varying if column.different == len(names) and column not in grid]
    section = next((column for column in running if column.meaning == "section"), None)
    counted = [section] if section else counted_of(varying, running)
    for column in varying:
        # Of a hundred, each in one file, the word cannot mean channels.
        alone = column in running and (section is not None or len(names) > _MOST_CHANNELS)
        if column.meaning in ("channel", "kind") and not alone:
            raise _several(path, column, counted, names)
    if {*counted} & {*running}:
        return Arrangement(remark=_each(path, grid, section, names))
    others = [column for column in counted if column not in grid]
    _check_words(path, others, counted, names)
    if not grid:
        return Arrangement(remark=_remark(path, counted, names))
    found = _tiles(path, rows[0], across[0], others, names)
    # A running number and nothing else: places of crops, or of a stage that drifts, are no rows and columns of tiles.
    crops = running and not others and not any(column.meaning == "tile" for column in running)
    if crops and (isinstance(found, InputError) or not _contiguous(found)):
        return Arrangement(remark=_each(path, grid, section, names))
    if isinstance(found, InputError):
        raise found
    return found._replace(remark=_remark(path, others, names))


def section_numbers(names: Sequence[str]) -> list[Decimal] | None:
    """Returns the number of each section, if the names are the same except for one number; otherwise None.

    A number that the names hold twice (`img_003_z003`) counts as one.
    """
    varying = [column for column in columns_of(names) if column.different > 1]
    if len({column.values for column in varying}) != 1:
        return None
    numbers = [value for value in varying[0].values if isinstance(value, Decimal)]
    return numbers if len(numbers) == len(names) else None


def _check_words(path: str, columns: Sequence[Column], counted: Sequence[Column], names: Sequence[str]) -> None:
    """Raises InputError if a word says that one of the columns is something else than a section or a group of them."""
    for k, column in enumerate(columns):
        channel = column.word == "c" or (column.word == "w" and 0 < k == len(columns) - 1)
        if column.meaning == "time" or (channel and column.different <= _MOST_CHANNELS):
            raise _several(path, column, counted, names)
        if column.meaning == "tile" or (column.meaning in ("row", "column") and column.word not in "rc"):
            raise InputError(
                f"{path}: the names hold several tiles or fields of view ({differ(column, counted, names)}); put "
                "the tiles of each section together (in Fiji: Plugins > Stitching), or name them by row and column: "
                "s1_Y1_X2"
            )


def _several(path: str, column: Column, counted: Sequence[Column], names: Sequence[str]) -> InputError:
    one, many = {"kind": ("kind", "kinds of images"), "time": ("time point", "time points")}.get(
        column.meaning, ("channel", "channels")
    )
    kept = [name for name, value in zip(names, column.values, strict=True) if value == column.values[0]]
    return InputError(
        f"{path}: the names hold {column.different} {many} ({differ(column, counted, names)}); a stack has one: leave "
        f"the files of one {one} in the folder, such as {some(kept, 2)}, and move the others out"
    )


def _each(path: str, grid: Sequence[Column], section: Column | None, names: Sequence[str]) -> str | None:
    """Says what is odd about names in which one number counts all files; None if nothing is."""
    for k, (one, other) in enumerate(itertools.pairwise(section.values if section else ())):
        if section and one > other:  # type: ignore[operator]
            return (
                f"{path}: the sections are taken in the order of whole names, so {names[k]} is before {names[k + 1]}; "
                f"to have them in the order of {section.word}, put that number first"
            )
    if not grid:
        return None
    return (
        f"{path}: each file is taken for a section, although {names[0]} to {names[-1]} hold {grid[0].word} and "
        f"{grid[1].word}; if these are places of tiles, remove the number that counts all files"
    )


def _remark(path: str, counted: Sequence[Column], names: Sequence[str]) -> str | None:
    """Says in which order the sections are taken, if several columns make it up; None if it is one."""
    if len(counted) < 2:
        return None
    places = "; ".join(f"{column.different} values, as {differ(column, counted, names)}" for column in counted)
    wafer = "; w is taken for a wafer: if it is a channel, leave the files of one"
    return (
        f"{path}: names differ in {len(counted)} places ({places}); the sections are taken in the order of these, from "
        f"{names[0]} to {names[-1]}{wafer if 'w' in (column.word for column in counted) else ''}"
    )


def _tiles(
    path: str, row: Column, across: Column, others: Sequence[Column], names: Sequence[str]
) -> Arrangement | InputError:
    """Arranges files as tiles of rows and columns in each section, or says which section lacks some."""
    places = list(zip(row.values, across.values, strict=True))
    sections = list(zip(*(column.values for column in others), strict=True)) or [()] * len(places)
    order = {section: k for k, section in enumerate(dict.fromkeys(sections))}
    rows, columns = sorted(set(row.values)), sorted(set(across.values))
    if len(order) * len(rows) * len(columns) != len(places):
        section, number = min(Counter(sections).items(), key=lambda item: item[1])
        return InputError(
            f"{path}: the names are those of tiles, {len(columns)} x {len(rows)} (x, y) in a section, but that of "
            f"{names[sections.index(section)]} has {number} of {len(columns) * len(rows)}; give each section all its "
            "tiles, and nothing else"
        )
    tiles = [[[0] * len(columns) for _ in rows] for _ in order]
    for k, (section, (y, x)) in enumerate(zip(sections, places, strict=True)):
        tiles[order[section]][rows.index(y)][columns.index(x)] = k
    return Arrangement(tiles, rows, columns)  # type: ignore[arg-type]


def _contiguous(found: Arrangement) -> bool:
    """Whether rows and columns are counted from 0 or 1 without gaps."""
    return all(
        numbers[0] in (0, 1) and all(b - a == 1 for a, b in itertools.pairwise(numbers))
        for numbers in (found.row_numbers, found.column_numbers)
    )
