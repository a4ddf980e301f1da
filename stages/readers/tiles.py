"""Puts tiles of sections together: VAST and microscopes store a large section as several image files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers import files as image_files
from floodrunner.stages.readers.forms import Form, Section
from floodrunner.stages.readers.name_numbers import Arrangement
from floodrunner.stages.readers.stack import Read, uniform
from floodrunner.stages.storage.words import size


def put_together(
    path: str, files: Sequence[Path], heads: Sequence[Section], arrangement: Arrangement
) -> tuple[list[Section], list[Read], str]:
    """Makes sections of tiles. A section is read only when it is needed, and its pixels are those of its tiles.

    Args:
      path: the folder, for messages.
      files, heads: the tiles, in the order that `arrangement` numbers.
      arrangement: which tiles make up each section.

    Returns:
      Each section, named like its first tile; functions that decode them; and a message that says what was done.

    Raises:
      InputError: if the tiles differ in form, those of a row in height or those of a column in width, or the numbers
        in the names are neither numbers of rows and columns nor positions at which tiles of this size touch.
    """
    tiles = arrangement.tiles or []
    _, form = uniform(path, [head._replace(height=1, width=1) for head in heads])
    heights = [heads[row[0]].height for row in tiles[0]]
    widths = [heads[k].width for k in tiles[0][0]]
    for k, (y, x) in ((k, (y, x)) for rows in tiles for y, row in enumerate(rows) for x, k in enumerate(row)):
        if (heads[k].height, heads[k].width) != (heights[y], widths[x]):
            raise InputError(
                f"{path}: tile {heads[k].name} is {size((heads[k].height, heads[k].width))} pixels, but the others of "
                f"its row and column are {size((heights[y], widths[x]))}; tiles must not overlap or leave gaps"
            )
    for numbers, lengths, what in (
        (arrangement.row_numbers, heights, "row"),
        (arrangement.column_numbers, widths, "column"),
    ):
        _check_numbers(path, numbers, lengths, what)
    sections = [
        heads[rows[0][0]]._replace(
            height=sum(heights),
            width=sum(widths),
            remarks=tuple(dict.fromkeys(text for k in itertools.chain(*rows) for text in heads[k].remarks)),
        )
        for rows in tiles
    ]
    reads: list[Read] = [partial(_read, files, rows, form) for rows in tiles]
    said = (
        f"{path}: {len(files)} tiles are put together, {len(widths)} x {len(heights)} (x, y) in each section of "
        f"{size((sum(heights), sum(widths)))}; {heads[tiles[0][0][0]].name} is at the upper left"
    )
    return sections, reads, said


def _read(files: Sequence[Path], rows: Sequence[Sequence[int]], form: Form) -> np.ndarray:
    return np.concatenate([np.concatenate([image_files.read(files[k], form) for k in row], axis=1) for row in rows])


def _check_numbers(path: str, numbers: Sequence[Decimal], lengths: Sequence[int], what: str) -> None:
    """Rejects numbers that leave out a row or column, and positions at which tiles would overlap or leave a gap."""
    for (one, other), length in zip(itertools.pairwise(numbers), lengths, strict=False):
        if other - one not in (1, length):
            raise InputError(
                f"{path}: tiles of {what} {one} are followed by {what} {other}, but are {length} pixels long: neither "
                f"the next {what} nor the place where they end; name the tiles by row and column, without gaps, and "
                "cut off overlaps (in Fiji: Plugins > Stitching)"
            )
