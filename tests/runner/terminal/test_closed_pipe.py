"""Output that nobody reads to its end: `floodrunner status | head`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", [["stages"], ["stages", "--markdown"], ["plan", "pipelines/quickstart.yaml"]])
def test_a_reader_that_leaves_is_no_failure(tmp_path: Path, command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if command[0] == "plan":
        command = [*command, "--engine", "local", "--workdir", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DOCKER_HOST": "unix:///nowhere.sock"}
    answer = subprocess.run(
        [sys.executable, "-m", "floodrunner.runner.cli", *command],
        cwd=ROOT,
        env=environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (answer.returncode, answer.stderr) == (0, b"")
