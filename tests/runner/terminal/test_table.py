"""Tables of text: broken at spaces only, in blocks where a terminal is too narrow, one line a row elsewhere."""

from __future__ import annotations

import sys

import pytest

from floodrunner.runner.terminal.table import Column, lines

COLUMNS = [Column("run", whole=True), Column("state"), Column("empty"), Column("mean average precision", number=True)]
ROWS = [
    ["runs/a folder with spaces", ["failed at score", "2026-01-31 13:00"], "", "0.25"],
    ["runs/細胞", ["done", "2026-01-31 14:00"], "", "12"],
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    return monkeypatch


def test_elsewhere_a_row_is_a_line() -> None:
    assert lines(COLUMNS, ROWS) == [
        "run                        state                              mean average precision",
        "runs/a folder with spaces  failed at score, 2026-01-31 13:00                    0.25",
        "runs/細胞                  done, 2026-01-31 14:00                                 12",
    ]


def test_a_terminal_gets_several_lines_a_row(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("COLUMNS", "56")
    assert lines(COLUMNS, ROWS) == [
        "                                                    mean",
        "                                                 average",
        "run                        state               precision",
        "runs/a folder with spaces  failed at score          0.25",
        "                           2026-01-31 13:00",
        "runs/細胞                  done                       12",
        "                           2026-01-31 14:00",
    ]


def test_in_a_narrow_terminal_a_row_is_a_block(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("COLUMNS", "40")
    assert lines(COLUMNS, ROWS)[:3] == [
        "runs/a folder with spaces",
        "  state: failed at score, 2026-01-31 13:00",
        "  mean average precision: 0.25",
    ]


def test_control_characters_do_nothing() -> None:
    assert lines([Column("a")], [["x\x1b[31m"]]) == ["a", "x\\x1b[31m"]
