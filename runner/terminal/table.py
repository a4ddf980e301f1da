"""A table as lines of text: in a terminal as wide as the terminal, elsewhere one line a row. Nothing is ever cut."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floodrunner.runner import words

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | Sequence[str]
"""A text, or several, which stand below each other in a terminal and behind each other elsewhere."""

_WIDEST = 1_000_000
_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table. `number`: aligned to the right. `whole`: never broken into several lines."""

    title: str
    number: bool = False
    whole: bool = False


def lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """The lines of a table, with a heading. A column without any text is left out.

    Texts are broken at spaces only. In a terminal that is too narrow for that, each row becomes a block of lines.
    """
    from rich.cells import cell_len
    from rich.console import Console

    in_terminal = sys.stdout.isatty()
    console = Console(color_system=None) if in_terminal else Console(color_system=None, width=_WIDEST)
    texts = [[_text(cell, "\n" if in_terminal else ", ") for cell in row] for row in rows]
    kept = [k for k in range(len(columns)) if any(row[k] for row in texts)]
    columns, texts = [columns[k] for k in kept], [[row[k] for k in kept] for row in texts]
    widths, least = [], []
    for k, column in enumerate(columns):
        parts = [column.title, *(part for row in texts for part in row[k].split("\n"))]
        widths.append(max(map(cell_len, parts)))
        least.append(widths[k] if column.whole else max(cell_len(word) for part in parts for word in part.split(" ")))
    room = console.width - _GAP * (len(columns) - 1)
    if sum(least) > room:
        return _blocks(columns, texts)
    while (total := sum(widths)) > room:  # the widest gives way, but no word is broken
        widest = max((k for k in range(len(widths)) if widths[k] > least[k]), key=widths.__getitem__)
        widths[widest] = max(least[widest], widths[widest] - (total - room))
    return _drawn(console, columns, widths, texts)


def _drawn(console: Console, columns: Sequence[Column], widths: Sequence[int], texts: list[list[str]]) -> list[str]:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(Text(column.title), width=width, justify="right" if column.number else "left", vertical="top")
    for row in texts:
        table.add_row(*map(Text, row))
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _blocks(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[str]:
    found = []
    for row in texts:
        found.append(row[0])
        for column, text in zip(columns[1:], row[1:], strict=True):
            found.append(f"  {column.title}: {', '.join(text.splitlines())}")
    return found


def _text(cell: Cell, joint: str) -> str:
    return words.shown(cell) if isinstance(cell, str) else joint.join(map(words.shown, cell))
