"""`events.jsonl` as a stage should not write it: the runner neither fails, nor waits, nor runs out of memory."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.terminal.display import Line
from floodrunner.runner.workdir import events
from floodrunner.runner.workdir.events import Begun, End, Event, Message, Metric, Tail, last_begun, read
from floodrunner.runner.workdir.progress import Progress


def told(path: Path, *lines: str | dict[str, Any]) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def take(progress: Progress, event: dict[str, Any]) -> None:
    if (found := read(event)) is not None:
        progress.take(found)


def shown(event: Event) -> str:
    """All texts of an event."""
    return "".join(value for name, value in event if isinstance(value, str) and name != "event")


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
    assert [each.event for each in found] == ["end"]


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
    assert [each.step for each in [*first, *tail.rest()] if isinstance(each, Metric)] == list(range(200))
    assert list(tail.rest()) == []


def test_a_line_without_an_end_takes_no_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_AT_ONCE", 1000)
    told(file, "x" * 100_000, {"event": "end", "status": "done"})
    assert [each.event for each in Tail(file).rest()] == ["end"]
    assert last_begun(file) is None


def test_of_a_flood_that_nobody_has_read_the_last_events_count(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_LAST", 1000)
    told(file, *({"event": "message", "text": "x"} for _ in range(1000)), {"event": "end", "status": "done"})
    found = list(Tail(file).rest())
    assert len(found) < 40
    assert found[-1] == End(event="end", status="done")


def test_a_stage_that_writes_faster_than_the_runner_reads_does_not_hold_it(file: Path) -> None:
    """Each look at the file ends."""
    ended = threading.Event()

    def flood() -> None:
        with open(file, "w") as out:
            while not ended.is_set():
                out.write(json.dumps({"event": "message", "text": "again " * 200}) + "\n")

    writing = threading.Thread(target=flood)
    writing.start()
    try:
        tail, begun = Tail(file), time.monotonic()
        for _ in range(50):
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
    assert [*map(shown, found)] == [
        "\\x1b]0;title\\x07\\x1b[2J red line \\u202etxt.exe \\x9b1m \\xff  end",
        "a\\x1b[1m",
    ]


def test_a_text_without_an_end_is_cut(file: Path) -> None:
    (found,) = Tail(told(file, {"event": "message", "text": "x" * 1_000_000})).new()
    assert len(shown(found)) == 4000
    assert shown(found).endswith("x ...")


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
        take(line.progress, {"event": "progress", "time": time_, "done": done, "total": total, "unit": ["steps"]})
        take(line.progress, {"event": "progress", "time": time_, "done": 1e-300, "total": total, "unit": "steps"})
        line.facts()


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("name", ["loss", 3, [], {}, None, pytest.param("x" * 10_000, id="long")])
def test_a_metric_of_any_kind_can_be_shown(file: Path, name: Any, value: Any) -> None:
    line = Line("train", progress=Progress())
    for event in Tail(told(file, {"event": "metric", "name": name, "value": value})).new():
        line.progress.take(event)
    assert len(", ".join(line.facts())) < 250


LONG = pytest.param(["A" * 1_000_000], id="a list")


@pytest.mark.parametrize("value", [LONG, pytest.param({"a": "\x1b" * 10_000}, id="an object"), 3, None, True])
@pytest.mark.parametrize(
    "event",
    [
        {"event": "message", "text": "x"},
        {"event": "conclusion", "text": "x"},
        {"event": "end", "status": "done", "message": "x"},
        {"event": "progress", "time": 1, "done": 1, "total": 2, "unit": "x"},
        {"event": "metric", "name": "x", "value": 1},
        {"event": "artifact", "path": "a", "title": "x"},
        {"event": "artifact", "path": "x", "title": "a"},
        {"event": "spent", "path": "x"},
    ],
)
def test_what_should_be_a_text_and_is_none_makes_no_event(event: dict[str, Any], value: Any) -> None:
    (name,) = (name for name, text in event.items() if text == "x")
    assert read(event) is not None
    assert read({**event, name: value}) is None


@pytest.mark.parametrize(
    ("event", "most"),
    [
        ({"event": "message", "text": ""}, 4000),
        ({"event": "conclusion", "text": ""}, 300),
        ({"event": "end", "status": "", "message": ""}, 4000),
        ({"event": "progress", "time": 1, "done": 1, "total": 2, "unit": ""}, 200),
        ({"event": "metric", "name": "", "value": 1}, 200),
        ({"event": "artifact", "path": "a", "title": ""}, 200),
    ],
)
@pytest.mark.parametrize("text", ["x", "\x1b", "\u202e"])
def test_texts_of_all_kinds_are_bounded(event: dict[str, Any], most: int, text: str) -> None:
    (name,) = (name for name, value in event.items() if name != "status" and value == "")
    found = read({**event, name: text * 100_000})
    assert found is not None
    assert len(getattr(found, name)) == most
    assert getattr(found, name).isprintable()


@pytest.mark.parametrize("value", [1e20, -3e-200, 0])
def test_a_figure_of_any_size_is_a_metric(value: float) -> None:
    assert read({"event": "metric", "name": "loss", "value": value}) == Metric(event="metric", name="loss", value=value)


def test_numbers_of_entries_are_bounded() -> None:
    progress = Progress()
    for n in range(5000):
        take(progress, {"event": "metric", "name": f"m{n}", "value": n})
        take(progress, {"event": "artifact", "path": f"p{n}", "title": ""})
        take(progress, {"event": "spent", "path": f"p{n}"})
        take(progress, {"event": "conclusion", "text": f"{n}"})
    assert progress.conclusions == [*map(str, range(20))]
    assert {len(each) for each in (progress.latest, progress.results, progress.artifacts, progress.spent)} == {1000}
    take(progress, {"event": "metric", "name": "m0", "value": 7})
    assert progress.latest["m0"] == 7


@pytest.mark.parametrize("time_", [-1, 0, 1e300, float("nan"), "now", True])
def test_a_beginning_at_an_impossible_time_is_none(file: Path, time_: Any) -> None:
    assert last_begun(told(file, {"event": "start", "time": time_})) is None
    assert last_begun(told(file, {"event": "start", "time": 1000.5})) is not None


def test_of_a_huge_file_only_the_end_is_read_for_a_beginning(file: Path) -> None:
    """A file with a hole of 4 TB, which would take hours to read."""
    told(file, {"event": "start", "time": 1000.5})
    os.truncate(file, 4 << 40)
    begun = time.monotonic()
    assert last_begun(file) is None
    assert list(Tail(file).rest()) == []
    assert time.monotonic() - begun < 30
    with open(file, "a") as more:
        more.write('\n{"event": "start", "time": 2000.5}\n')
        end = more.tell()
    assert last_begun(file) == Begun(end, 2000.5)


def test_the_first_progress_stands_for_a_beginning_that_is_too_far_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that has trained for weeks, whose runner was killed, is taken over."""
    monkeypatch.setattr(events, "_LAST", 1000)
    progress = [{"event": "progress", "time": 5000 + n, "done": n, "total": 999, "unit": "steps"} for n in range(200)]
    found = last_begun(told(file, {"event": "start", "time": 1000.5}, *progress))
    assert found is not None
    assert 5150 < found.time < 5200
    assert file.stat().st_size - 1000 < found.offset < file.stat().st_size - 800


def test_a_file_that_still_grows_is_read_up_to_where_it_ended(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the stage has left behind writes on, faster than anybody reads."""
    monkeypatch.setattr(events, "_AT_ONCE", 1000)
    told(file, *({"event": "message", "text": str(n)} for n in range(100)))
    count = 0
    for event in Tail(file).rest():
        count += isinstance(event, Message)
        with open(file, "a") as more:
            more.write('{"event": "message", "text": "more"}\n' * 3)
        assert count < 200
    assert count >= 100
