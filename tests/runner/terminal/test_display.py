"""What a run shows: plain lines, not too many; one line per step in a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from floodrunner.runner import words
from floodrunner.runner.terminal import display
from floodrunner.runner.terminal.display import Display, LiveDisplay
from floodrunner.runner.workdir.events import Event, Tail, begin, read
from floodrunner.runner.workdir.progress import Progress


def event(value: dict[str, Any]) -> Event:
    found = read({"time": 0, **value})
    assert found is not None
    return found


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(display, "time", made)
    return made


def test_plain_lines_are_few(clock: Clock) -> None:
    """Twice a second for a minute: about one line in five seconds, with unit, rate, time left and newest metrics."""
    stream = io.StringIO()
    show = Display({"train": "Train a network.", "fill": "Fill gaps."}, stream)
    show.started("train", "never run")
    for tick in range(1, 121):
        clock.now += 0.5
        show.event(
            "train", event({"event": "progress", "time": clock.now, "done": tick, "total": 240, "unit": "steps"})
        )
        show.event(
            "train", event({"event": "metric", "time": clock.now, "name": "loss", "value": 1 / tick, "step": tick})
        )
    show.event("train", event({"event": "message", "text": "saved"}))
    show.finished("train", "done", 60.2)
    show.skipped("fill", "nothing changed")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "train: runs: train a network"
    assert lines[-3:] == ["train: saved", "train: done in 1:00 min, loss 0.008333", "fill: skipped (nothing changed)"]
    middle = lines[1:-3]
    assert 10 <= len(middle) <= 13
    assert middle[-1] == "train: 120/240 steps, 2/s, 1:00 min left, loss 0.008403"


def test_plain_is_silent_once_nobody_listens() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    show = Display({"a": ""}, Closed())
    show.started("a", "never run")
    show.finished("a", "done", 1)


def test_one_line_per_step_in_a_terminal() -> None:
    show = LiveDisplay({"image": "", "train": "", "fill": ""})
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    show._console = console
    show.skipped("image", "nothing changed")
    show.started("train", "never run")
    for second in range(3):
        show.event(
            "train", event({"event": "progress", "time": second, "done": 10 * second, "total": 100, "unit": "steps"})
        )
    show.event("train", event({"event": "metric", "time": 3, "name": "loss", "value": 0.25, "step": 20}))
    console.print(show._table())
    image, train, fill = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert image.split() == ["–", "image", "nothing", "changed"]
    assert train.startswith("▸ train ━━━━")
    assert "20/100 steps, 10/s, 8.0 s left, loss 0.25" in train
    assert fill.split() == ["·", "fill"]


def progress(*events: tuple[float, float]) -> Progress:
    made = Progress()
    for time, done in events:
        made.take(event({"event": "progress", "time": time, "done": done, "total": 100, "unit": "x"}))
    return made


def test_rate_is_that_of_this_try_and_of_late() -> None:
    assert progress((0, 50)).rate is None  # goes on from 50: the first report says nothing of speed
    assert progress((0, 50), (10, 60)).rate == 1
    assert progress((0, 50), (10, 60)).seconds_left == 40
    assert progress((0, 0), (10, 10), (20, 20), (45, 70), (50, 80)).rate == 2  # of the last half minute
    assert progress((0, 0), (400, 40), (600, 60), (800, 100)).rate == 0.2  # of the last quarter, where that is longer
    week = progress(*((n, n / 1e4) for n in range(0, 600_000, 20)))
    assert week.rate == pytest.approx(1e-4)
    assert len(week._history) < 500
    assert progress((0, 0), (10, 90), (12, 0), (22, 10)).rate == 1  # another phase has begun at 12
    assert progress((0, 10), (10, 10)).rate is None


def test_metrics_with_a_step_are_no_result() -> None:
    made = Progress()
    made.take(event({"event": "metric", "name": "loss", "value": 1.0, "step": 3}))
    made.take(event({"event": "metric", "name": "objects", "value": 7}))
    made.take(event({"event": "metric", "name": "error", "value": None}))  # it was NaN
    assert made.results == {"objects": 7.0, "error": None}
    assert list(made.latest) == ["loss", "objects", "error"]


def test_lines_half_written_wait_and_broken_ones_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = Tail(file)
    assert tail.new() == []
    file.write_text('{"event": "message", "text": "a"}\nnonsense\n[1]\n{"event": "message", "text": "b"')
    assert tail.new() == [event({"event": "message", "text": "a"})]
    assert tail.new() == []
    with open(file, "a") as more:
        more.write("}\n")
    assert tail.new() == [event({"event": "message", "text": "b"})]


def test_a_new_try_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"event": "pro')  # killed while it wrote
    offset = begin(file, "again")
    with open(file, "a") as more:
        more.write('{"event": "message", "text": "a"}\n')
    assert [each.event for each in Tail(file, offset).new()] == ["message"]
    assert [each.event for each in Tail(file).new()] == ["start", "message"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1:00 min"), (3599.4, "59:59 min"), (7385, "2:03:05 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e6, "1000000"), (0.0912345, "0.09123"), (-3.0, "-3"), (1e20, "1e+20"), (None, "not a number"), (1e-9, "1e-09")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (3.2e9, "3.2 GB"), (5e13, "50.0 TB")])
def test_sizes(count: float, text: str) -> None:
    assert words.size(count) == text


def test_names_and_figures_stay_whole_in_a_narrow_terminal(clock: Clock) -> None:
    live = LiveDisplay({"statistics": "", "unseen-statistics": "", "train": ""})
    stream = io.StringIO()
    live._console = Console(width=80, file=stream, force_terminal=True, color_system=None)
    line = live.lines["train"]
    line.status, line.started = "running", clock.now - 248
    for done, at in ((4000, 0.0), (4313, 11.0)):
        line.progress.take(event({"event": "progress", "done": done, "total": 7000, "unit": "steps", "time": at}))
    line.progress.take(event({"event": "metric", "name": "loss", "value": 0.2896, "step": 4313}))
    live._console.print(live._table())
    for whole in ("unseen-statistics", "4313/7000 steps", "loss 0.2896"):
        assert whole in stream.getvalue()


def test_a_terminal_that_knows_only_ascii_gets_marks_that_it_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "ascii", errors="replace"))
    show = LiveDisplay({"image": "", "train": "", "fill": ""})
    show.skipped("image", "nothing changed")
    show.started("train", "never run")
    show.finished("train", "done", 1)
    show.note("image: Käfer_µm: 4 sections")
    show._console.print(show._table())
    sys.stdout.flush()
    said, *lines = [line.split() for line in raw.getvalue().decode("ascii").splitlines()]
    assert said == ["image:", "K?fer_?m:", "4", "sections"]
    assert [line[:2] for line in lines] == [["-", "image"], ["+", "train"], [".", "fill"]]


@pytest.mark.parametrize("width", [40, 60, 79, 80, 110])
def test_each_step_keeps_one_line_with_its_mark(width: int, clock: Clock) -> None:
    task = "Make a volume of an artificial tissue, and the labels of all that is in it."
    live = LiveDisplay({"tissue": task, "train": "", "unseen-statistics": "", "score": ""})
    stream = io.StringIO()
    live._console = Console(width=width, file=stream, force_terminal=True, color_system=None)
    live.started("tissue", "never run")
    live.started("train", "never run")
    for done, at in ((4000, 0.0), (4313, 11.0)):
        live.event("train", event({"event": "progress", "done": done, "total": 7000, "unit": "steps", "time": at}))
    for name in ("training_cells", "validation_cells", "test_pictures"):
        live.event("score", event({"event": "metric", "name": name, "value": 123456.0}))
    live.finished("score", "done", 100)
    live._console.print(live._table())
    lines = stream.getvalue().splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["▸", "tissue"],
        ["▸", "train"],
        ["·", "unseen-statistics"],
        ["✓", "score"],
    ]
    assert max(map(len, lines)) <= width
    assert "…" in lines[0] or width == 110
    assert "4313/7000 steps" in lines[1] or width == 40
