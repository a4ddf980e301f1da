"""The table at the end of a run for many stacks: how each ended, its main figures, the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from floodrunner.runner import words
from floodrunner.runner.terminal import figures, runs, table
from floodrunner.runner.terminal.table import Cell, Column
from floodrunner.runner.workdir.past import Past


@dataclass(frozen=True)
class Ended:
    """How the run of one stack ended.

    Attributes:
      seconds: how long it took; None if it did not start.
      trouble: what went wrong; "" if nothing did.
      code: the exit code.
      record: of the run, or of an earlier one; None if there is none.
    """

    name: str
    folder: Path
    seconds: float | None
    trouble: str
    code: int
    record: Past | None


def lines(ended: Sequence[Ended]) -> list[str]:
    """A row for each stack; below, what went wrong."""
    if not ended:
        return []
    main = figures.main([each.record for each in ended if each.record])
    rows: list[list[Cell]] = [
        [
            words.here(each.folder),
            _state(each),
            *(runs.figure(each.record, *figure) if each.record else "-" for figure in main),
            "-" if each.seconds is None else words.duration(each.seconds),
        ]
        for each in ended
    ]
    titles = [Column(words.shown(name.replace("_", " ")), number=True) for _, name in main]
    columns = [Column("run", whole=True), Column("state"), *titles, Column("time", number=True)]
    troubles = [f"{each.name}: {each.trouble}" for each in ended if each.trouble]
    return [*table.lines(columns, rows), *runs.meanings(rows), *troubles]


def _state(ended: Ended) -> str:
    if ended.trouble:
        return "failed"
    return "done" if ended.record is None else runs.ending(ended.record)
