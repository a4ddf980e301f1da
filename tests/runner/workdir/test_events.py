"""`events.jsonl` as a stage should not write it: the runner neither fails, nor waits, nor runs out of memory."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runner.errors import UserError
from runner.terminal.display import Line
from runner.workdir import events
from runner.workdir.events import Progress, Tail, last_begun


def told(path: Path, *lines: str | dict[str, Any]) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[" * 100_000, id="deep list"),
        pytest.param('{"event":' * 50_000, id="deep object"),
        '{"event": 3}',
        "[]",
        '"event"',
        pytest.param('{"event": "end", "n": ' + "1" * 5000 + "}", id="long number"),
        "\x00\x00",
        "null",
    ],
)
def test_a_line_that_is_no_event_is_skipped(file: Path, line: str) -> None:
    found = Tail(told(file, line, {"event": "end", "status": "done"})).new()
    assert [event["event"] for event in found] == ["end"]


def test_a_pipe_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(UserError, match="is a named pipe, not a file that Floodrunner made"):
        Tail(file).new()
    with pytest.raises(UserError, match="is a named pipe"):
        last_begun(file)


def test_much_is_read_bit_by_bit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_AT_ONCE", 1000)
    lines = [{"event": "metric", "name": "loss", "step": n, "value": n} for n in range(200)]
    tail = Tail(told(file, *lines))
    first = tail.new()
    assert 0 < len(first) < 30
    assert [event["step"] for event in [*first, *tail.rest()]] == list(range(200))
    assert list(tail.rest()) == []


def test_a_line_without_an_end_takes_no_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_AT_ONCE", 1000)
    told(file, "x" * 100_000, {"event": "end", "status": "done"})
    assert [event["event"] for event in Tail(file).rest()] == ["end"]
    assert last_begun(file) is None


def test_of_a_flood_that_nobody_has_read_the_last_events_count(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LAST", 1000)
    told(file, *({"event": "message", "text": "x"} for _ in range(1000)), {"event": "end", "status": "done"})
    found = list(Tail(file).rest())
    assert len(found) < 40
    assert found[-1]["status"] == "done"


def test_a_stage_that_writes_faster_than_the_runner_reads_does_not_hold_it(file: Path) -> None:
    """Each look at the file ends."""
    ended = threading.Event()

    def flood() -> None:
        with open(file, "w") as out:
            while not ended.is_set():
                out.write('{"event": "message", "text": "again"}\n' * 1000)

    writing = threading.Thread(target=flood)
    writing.start()
    try:
        tail, begun = Tail(file), time.monotonic()
        for _ in range(5):
            tail.new()
        assert time.monotonic() - begun < 30
    finally:
        ended.set()
        writing.join()


def test_texts_do_nothing_to_a_terminal(file: Path) -> None:
    text = "\x1b]0;title\x07\x1b[2J red\r\nline \u202etxt.exe \x9b1m \udcff \u2028end"
    found = Tail(
        told(file, {"event": "message", "text": text}, {"event": "metric", "name": "a\x1b[1m", "value": 1})
    ).new()
    assert found[0]["text"] == "\\x1b]0;title\\x07\\x1b[2J red line \\u202etxt.exe \\x9b1m ?  end"
    assert found[1]["name"] == "a\\x1b[1m"


def test_a_text_without_an_end_is_cut(file: Path) -> None:
    (found,) = Tail(told(file, {"event": "message", "text": "x" * 1_000_000})).new()
    assert len(found["text"]) < 5000
    assert found["text"].endswith("x ...")


NUMBERS = [
    pytest.param(10**400, id="10^400"),
    pytest.param(-(10**400), id="-10^400"),
    1e308,
    float("nan"),
    float("inf"),
    -1,
    0,
    1e-300,
    True,
    None,
    "3",
    [],
    {},
    1e15,
]


@pytest.mark.parametrize("done", NUMBERS)
@pytest.mark.parametrize("total", [pytest.param(10**400, id="10^400"), float("nan"), -5, 0, 1e-300, 1e15, 3, "3", None])
def test_progress_of_any_kind_can_be_shown(done: Any, total: Any) -> None:
    line = Line("train", progress=Progress())
    for time_ in (1.0, 1.0, 0.0, 2.0, 1e300, float("nan"), "x", 1e12):
        line.progress.take({"event": "progress", "time": time_, "done": done, "total": total, "unit": ["steps"]})
        line.progress.take({"event": "progress", "time": time_, "done": 1e-300, "total": total, "unit": "steps"})
        line.facts()


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("name", ["loss", 3, [], {}, None, pytest.param("x" * 10_000, id="long")])
def test_a_metric_of_any_kind_can_be_shown(file: Path, name: Any, value: Any) -> None:
    line = Line("train", progress=Progress())
    for event in Tail(told(file, {"event": "metric", "name": name, "value": value})).new():
        line.progress.take(event)
    assert len(", ".join(line.facts())) < 5000


def test_numbers_of_entries_are_bounded() -> None:
    progress = Progress()
    for n in range(5000):
        progress.take({"event": "metric", "name": f"m{n}", "value": n})
        progress.take({"event": "artifact", "path": f"p{n}", "title": ""})
        progress.take({"event": "spent", "path": f"p{n}"})
    assert {len(each) for each in (progress.latest, progress.results, progress.artifacts, progress.spent)} == {1000}
    progress.take({"event": "metric", "name": "m0", "value": 7})
    assert progress.latest["m0"] == 7


@pytest.mark.parametrize("time_", [-1, 0, 1e300, float("nan"), "now", True])
def test_a_beginning_at_an_impossible_time_is_none(file: Path, time_: Any) -> None:
    assert last_begun(told(file, {"event": "start", "time": time_})) is None
    assert last_begun(told(file, {"event": "start", "time": 1000.5})) is not None
