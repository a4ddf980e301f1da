"""A sentence that a stage says about its result stays with the result, and is shown below its figures."""

from __future__ import annotations

import json

from tests.runner.conftest import House
from tests.runner.execution.test_hostile import command, leaving, quiet


def below(text: str) -> list[str]:
    """What stands between `Results:` and the end, or `Look at:`."""
    return text.split("Results:\n")[1].split("Look at:")[0].splitlines()


def test_run_and_status_show_what_a_stage_concludes(house: House) -> None:
    leaving(
        house,
        """
        context.metric("precision", 0.07)
        context.conclude("Too many merges: 1 object covers 12 neurons")
        context.conclude("Worst: object 5")
        """,
    )
    lines = ["  x: precision 0.07", "    Too many merges: 1 object covers 12 neurons", "    Worst: object 5"]
    assert below(house("run", "p.yaml").out) == lines
    assert below(house("run", "p.yaml").out) == lines  # skipped; from the record
    assert below(command(house, "status").out) == lines
    assert "1 object covers 12 neurons\n" in command(house, "logs", "x").out


def test_a_step_without_figures_may_conclude(house: House) -> None:
    leaving(house, "context.conclude('2 objects were found')")
    assert below(house("run", "p.yaml").out) == ["  x:", "    2 objects were found"]


def test_a_record_of_before_has_no_conclusion(house: House) -> None:
    leaving(house, "context.metric('precision', 0.07)\ncontext.conclude('Good')")
    house.run()
    file = house.work / "runs/demo/x/step.json"
    record = json.loads(file.read_text())
    assert record.pop("conclusions") == ["Good"]
    file.write_text(json.dumps(record))
    assert below(command(house, "status").out) == ["  x: precision 0.07"]
    assert "x: skipped (nothing changed)" in house.run().out


def test_conclusions_without_end_are_cut(house: House) -> None:
    leaving(
        house,
        """
        context.conclude(" \\n")
        for n in range(1000):
            context.conclude(f"{n} \\x1b[2J" + "x" * 5000)
        context.emit("conclusion", text=["x"])
        """,
    )
    house.run()
    lines = below(quiet(command(house, "status")).out)
    assert len(lines) == 21
    assert lines[1].startswith("    0 \\x1b[2Jxxx")
    assert {len(line) for line in lines[1:]} == {304}


def test_an_edited_record_is_cut_too(house: House) -> None:
    leaving(house, "context.conclude('Good')")
    house.run()
    file = house.work / "runs/demo/x/step.json"
    record = json.loads(file.read_text())
    record["conclusions"] = ["\x1b[2J" + "y" * 5000] * 500
    file.write_text(json.dumps(record))
    lines = below(quiet(command(house, "status")).out)
    assert len(lines) == 21
    assert max(map(len, lines)) < 320
