"""A survey before the first step: what it finds stops a run, what goes wrong with it does not. The stages are tiny."""

from __future__ import annotations

import json
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import House

SURVEY = '''
"""Report what a file says."""
import time
from pathlib import Path

from floodrunner.contract.stage import Context, StageParams
from floodrunner.contract.survey import PlannedStep

OUTPUTS = {"report": "metrics"}
HERE = Path("HERE_IS")

class Params(StageParams):
    steps: tuple[PlannedStep, ...]

def run(params: Params, context: Context) -> None:
    (HERE / "asked").write_text(params.model_dump_json())
    while (HERE / "wait").exists():
        time.sleep(0.05)
    context.outputs["report"].write_bytes((HERE / "report").read_bytes())
'''

WORK = {"least": 10.0, "most": 10.0, "unit": "steps", "speed": "slow", "rough": 2.0}
REPORT = {
    "problems": [],
    "remarks": [{"step": "one", "text": "texts: 2 files"}],
    "costs": {"three": {"memory": 2e9, "disk": 3e6, "work": WORK}},
}
WRONG = [{"step": "one", "text": "texts: is too short; write more"}, {"step": "three", "text": "steps is odd"}]


def surveyed(house: House, report: dict[str, Any] | bytes = REPORT) -> House:
    """Gives a house a survey that knows the stage `slow`, and reports this."""
    folder = house.code / "stages"
    (folder / "survey").mkdir(exist_ok=True)
    (folder / "survey" / "slow.py").touch()
    (folder / "_survey.py").write_text(textwrap.dedent(SURVEY).lstrip().replace("HERE_IS", str(house.work)))
    (house.work / "report").write_bytes(report if isinstance(report, bytes) else json.dumps(report).encode())
    house.environment["XDG_CACHE_HOME"] = str(house.work / "cache")
    return house


def asked(house: House) -> dict[str, bool]:
    """The steps that the survey was asked about, and whether they were done."""
    steps = json.loads((house.work / "asked").read_text())["steps"]
    return {step["step"]: step["done"] for step in steps}


def test_plan_shows_what_the_inputs_are_and_what_is_needed(demo: House) -> None:
    ended = surveyed(demo)("plan", "p.yaml")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("demo in runs/demo, engine local")
    assert lines[4:6] == ["The inputs:", "  one: texts: 2 files"]
    assert lines[6].startswith("It needs about this (")
    assert [line.split() for line in lines[7:]] == [
        ["step", "time", "memory", "disk"],
        ["one", *["not", "known"] * 3],
        ["two", *["not", "known"] * 3],
        ["three", "under", "a", "minute", "2.0", "GB", "3.0", "MB"],
        ["in", "all", "not", "known", "2.0", "GB", "3.0", "MB"],
    ]
    assert not (demo.work / "runs").exists()
    assert asked(demo) == {"one": False, "two": False, "three": False}


@pytest.mark.parametrize("command", ["plan", "run"])
def test_all_that_is_wrong_is_told_before_the_first_step(demo: House, command: str) -> None:
    ended = surveyed(demo, REPORT | {"problems": WRONG})(command, "p.yaml")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "floodrunner: 2 things are wrong:",
        "  step one: texts: is too short; write more",
        "  step three: steps is odd",
    ]
    assert not (demo.work / "runs").exists()


def test_one_thing_that_is_wrong_is_one_line(demo: House) -> None:
    ended = surveyed(demo, REPORT | {"problems": WRONG[:1]})("run", "p.yaml")
    assert (ended.code, ended.error) == (2, "step one: texts: is too short; write more")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_folder_of_something_else_is_told_before_the_inputs_are_looked_at(demo: House, command: str) -> None:
    surveyed(demo, REPORT | {"problems": WRONG})
    (demo.work / "mine").mkdir()
    (demo.work / "mine" / "thesis.txt").touch()
    ended = demo(command, "p.yaml", "--workdir", "mine")
    assert ended.code == 2
    assert "mine: is not a run folder" in ended.error
    assert not (demo.work / "asked").exists()


def test_what_is_wrong_leaves_an_earlier_run_as_it_is(done: House) -> None:
    before = (done.work / "runs/demo/run.json").read_bytes()
    ended = surveyed(done, REPORT | {"problems": WRONG})("run", "p.yaml", "--set", "three.steps=11")
    assert ended.code == 2
    assert (done.work / "runs/demo/run.json").read_bytes() == before
    assert asked(done) == {"one": True, "two": True, "three": False}


def test_a_run_with_nothing_to_do_asks_nothing(done: House) -> None:
    ended = surveyed(done, REPORT | {"problems": WRONG})("run", "p.yaml")
    assert ended.code == 0
    assert not (done.work / "asked").exists()


def test_a_plan_without_a_surveyed_stage_asks_nothing(demo: House) -> None:
    (surveyed(demo).code / "stages" / "survey" / "slow.py").unlink()
    assert demo("plan", "p.yaml").code == 0
    assert not (demo.work / "asked").exists()


@pytest.mark.parametrize(
    "report", [b"", b"{", b"[]", b'{"costs": {"three": 1}}', b'{"problems": ["x"]}', b'{"more": 1}', b"\xff\x00"]
)
def test_a_report_that_cannot_be_read_stops_nothing(demo: House, report: bytes) -> None:
    ended = surveyed(demo, report)("run", "p.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert "the inputs were not looked at before the first step: " in ended.out


def test_a_survey_that_breaks_stops_nothing(demo: House) -> None:
    (surveyed(demo).code / "stages" / "_survey.py").write_text("import os\n\nos._exit(7)\n")
    ended = demo("run", "p.yaml")
    assert (ended.code, ended.err) == (0, "")
    assert "the inputs were not looked at before the first step: it ended with exit code 7" in ended.out


def test_a_finished_step_tells_later_plans_how_fast_it_is(demo: House) -> None:
    network = {"kind": "ffn", "settings": {}, "shape": [1, 3, 3, 3], "trains": True}
    work = WORK | {"rough": None, "network": network}
    surveyed(demo, REPORT | {"costs": {"three": {"memory": 1e9, "disk": 3e6, "work": work}}})
    ended = demo("run", "p.yaml", "--set", "three.seconds=0.2")
    assert ended.code == 0
    assert "this needs about not known" not in ended.out
    (kept,) = json.loads((demo.work / "cache/floodrunner/speeds.json").read_text())["speeds"].items()
    assert kept[0].endswith(": slow")
    assert kept[1]["how"] == "run"
    assert 2 < kept[1]["rate"] < 6
    out = demo("plan", "p.yaml", "--force", "three").out
    assert "  three: 10 steps, " in out
    assert "(as an earlier run" in out  # the machine may have been busy


def test_too_little_memory_and_disk_are_warnings(demo: House) -> None:
    surveyed(demo, REPORT | {"costs": {"three": {"memory": 1e15, "disk": 1e18, "work": None}}})
    ended = demo("plan", "p.yaml")
    assert ended.code == 0
    assert "Warning: three: needs about 1000.0 TB of memory, but may use " in ended.out
    assert "Warning: the steps write about " in ended.out
    ran = demo("run", "p.yaml")
    assert ran.code == 0
    assert "three: needs about 1000.0 TB of memory" in ran.out


@pytest.mark.parametrize("command", ["plan", "run"])
def test_ctrl_c_ends_the_survey(demo: House, command: str, wait_for: Callable[..., None]) -> None:
    surveyed(demo)
    (demo.work / "wait").touch()
    process = demo.start(command, "p.yaml")
    wait_for((demo.work / "asked").exists)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "floodrunner: interrupted" in err
    assert not (demo.work / "runs").exists()
    assert not [each for each in Path("/proc").glob("[0-9]*") if _surveys(each, demo)]


def _surveys(process: Path, house: House) -> bool:
    """Whether a process is a stage at work for this house."""
    try:
        ours = str(house.work).encode() in (process / "environ").read_bytes()
        return ours and b"floodrunner.stages" in (process / "cmdline").read_bytes()
    except OSError:
        return False
