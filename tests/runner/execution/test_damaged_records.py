"""Records and events that are damaged at random, with a fixed seed: one line or less, and nothing but text is shown."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from floodrunner.runner.terminal.display import Line
from floodrunner.runner.workdir.events import Tail, last_begun
from floodrunner.runner.workdir.progress import Progress
from tests.fuzz.damage import misspelt
from tests.runner.conftest import House
from tests.runner.execution.test_hostile import command

EVENTS = [
    {"event": "start", "time": 1769860000.125, "text": "2026-01-31T12:00:00+00:00 floodrunner run p.yaml"},
    *({"event": "progress", "time": 1769860000.5 + n, "done": n, "total": 70, "unit": "sections"} for n in range(5)),
    {"event": "metric", "time": 1769860006.5, "name": "loss", "value": 0.25, "step": 7},
    {"event": "metric", "time": 1769860006.5, "name": "adapted_rand_error", "value": 0.125},
    {"event": "message", "time": 1769860006.5, "text": "5 sections of 30 x 20"},
    {"event": "conclusion", "time": 1769860006.5, "text": "Too many merges: 1 object covers 12 neurons"},
    {"event": "artifact", "time": 1769860006.5, "path": "overlay.png", "title": "the labels"},
    {"event": "spent", "time": 1769860006.5, "path": "checkpoint.h5"},
    {"event": "end", "time": 1769860007.5, "status": "done", "message": ""},
]


def test_the_state_of_a_run_with_damaged_records_is_told(done: House) -> None:
    folder, random, codes = done.work / "runs" / "demo", Random(0), set()
    files = [folder / name for name in ("run.json", "one/step.json", "two/step.json", "three/step.json")]
    for number in range(120):
        file = random.choice(files)
        before = file.read_bytes()
        file.write_bytes(misspelt(before, random))
        ended = command(done, "status")
        file.write_bytes(before)
        codes.add(ended.code)
        assert ended.code in (0, 2), (number, ended)
        assert len(ended.err.splitlines()) == (ended.code == 2), (number, ended)
        assert all(line.isprintable() for line in [*ended.out.split("\n"), *ended.err.split("\n")]), (number, ended)
    assert codes == {0, 2}


def test_damaged_events_are_summed_up(tmp_path: Path) -> None:
    file, random = tmp_path / "events.jsonl", Random(0)
    whole = "".join(f"{json.dumps(event)}\n" for event in EVENTS).encode()
    read = 0
    for _ in range(500):
        file.write_bytes(misspelt(whole, random))
        line = Line("x", progress=Progress())
        for event in Tail(file).rest():
            line.progress.take(event)
            read += 1
            facts = line.facts()
            assert all(fact.isprintable() for fact in facts), facts
        last_begun(file)
    assert read > 3000
