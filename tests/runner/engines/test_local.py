"""What runner and stage have agreed on, seen from both ends: state that is spent, parameters that need a port."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from contract.codes import BAD_INPUT
from contract.job import JOB_FILE, Job

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
        [sys.executable, "-m", "stages", str(house.work)], cwd=house.code, capture_output=True, text=True, check=False
    )
    assert done.returncode == BAD_INPUT
    assert done.stderr.splitlines()[-1] == "slow: connected: ['source']"
