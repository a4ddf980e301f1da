"""Names that are not ASCII, where the locale or its settings know only ASCII: nothing stops, and the log is UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodrunner.contract.job import Job

ENVIRONMENTS = [
    {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"},
    {"LANG": "C"},
]


def run(command: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    paths = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    given = {**paths, "DOCKER_HOST": "unix:///nowhere.sock", **environment}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=given, capture_output=True, timeout=60, check=False
    )


def test_a_stage_writes_its_log_as_utf8(tmp_path: Path) -> None:
    stack = tmp_path / "Käfer_µm"
    stack.mkdir()
    for z in range(2):
        Image.fromarray(np.full((4, 5), z, np.uint8)).save(stack / f"≥{z}.png")
    job = Job(
        step="image",
        stage="import-images",
        params={},
        inputs={"stack": str(stack)},
        outputs={"volume": str(tmp_path / "volume.h5")},
        state=str(tmp_path / "state"),
    )
    (tmp_path / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    answer = run(["floodrunner.stages", str(tmp_path)], ENVIRONMENTS[1], tmp_path)
    assert answer.returncode == 0, answer.stderr.decode()
    assert f"{stack}: 2 sections (≥0.png to ≥1.png) of 5 x 4" in answer.stdout.decode("utf-8")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_runner_replaces_what_the_terminal_cannot_show(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "p.yaml").write_text(
        "name: p\ninputs:\n  em: {path: Käfer_µm, help: 'Schnitte ≥ 4 µm →'}\n"
        "steps:\n  image: {stage: import-images, in: {stack: inputs.em}}\n",
        encoding="utf-8",
    )
    answer = run(["floodrunner.runner.cli", "plan", "p.yaml", "--engine", "local"], environment, tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.startswith(b"floodrunner: p.yaml:3: input em (Schnitte ")
    assert b"fer_" in answer.stderr
    assert answer.stderr.count(b"\n") == 1
