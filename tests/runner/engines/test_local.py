"""What runner and stage have agreed on, seen from both ends: state that is spent, parameters that need a port."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floodrunner.contract.codes import BAD_INPUT
from floodrunner.contract.job import JOB_FILE, Job
from floodrunner.runner.engines import local
from floodrunner.runner.errors import UserError

if TYPE_CHECKING:
    from conftest import House


def test_state_that_is_spent_goes_when_all_is_published(house: House) -> None:
    house.pipeline("name: demo\nsteps: {slow: {stage: slow}}\n")
    assert house.run().code == 0
    state = house.work / "runs/demo/slow/state"
    assert (state / "count").exists()
    assert not (state / "scratch").exists()


def test_parameters_are_held_against_the_ports_by_the_stage_as_well(house: House) -> None:
    """Whoever starts a stage without the runner is told as well."""
    module = house.code / "stages" / "slow.py"
    refuses = '    def check_ports(self, connected):\n        raise ValueError(f"connected: {sorted(connected)}")\n\n'
    module.write_text(module.read_text().replace("def run(", refuses + "def run("))
    job = Job(step="x", stage="slow", params={}, inputs={"source": "x"}, outputs={"count": "o/c.json"}, state="s")
    (house.work / JOB_FILE).write_text(job.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-m", "floodrunner.stages", str(house.work)],
        cwd=house.code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == BAD_INPUT
    assert done.stderr.splitlines()[-1] == "slow: connected: ['source']"


def test_who_holds_a_steps_folder_is_told_by_number_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage can write the file that names the process."""
    monkeypatch.setattr(local, "_ORPHAN_ENDS_S", 0)
    for written, told in (("12345\n", "process 12345"), ("1; rm -rf ~ \x1b[2J" * 1000, "process unknown")):
        with open(tmp_path / ".running", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(written)
            file.flush()
            with pytest.raises(UserError, match=f"{told} of a run that was killed is still running"):
                local.reclaim(tmp_path)
