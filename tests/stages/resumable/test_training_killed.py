"""A training as a process of its own, killed with -9 while it trains. `test_training.py` interrupts at any call."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from floodrunner.contract.job import EVENTS_FILE, JOB_FILE, Job
from floodrunner.stages.resumable.training import STATE_FILE
from floodrunner.stages.storage.image_sets import write_set
from tests.stages.test_unet_train import TINY, drawn, same_weights, train

ROOT = Path(__file__).resolve().parents[3]
KILLS = 2
PARAMS = TINY | {"max_steps": 100, "validation_interval": 20, "patience": 100}
SAVING_OFTEN = """
import sys
from pathlib import Path
from floodrunner.stages import __main__ as stages
from floodrunner.stages.resumable import training
training._SAVE_INTERVAL_S = 0
sys.exit(stages.main(Path(sys.argv[1])))
"""


def start(training: Path, folder: Path) -> subprocess.Popen[bytes]:
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    job = Job(
        step="this-step",
        stage="unet-train",
        params=PARAMS,
        inputs={"training": str(training)},
        outputs={"model": str(folder / "partial" / "model")},
        state=str(folder / "state"),
    )
    (folder / JOB_FILE).write_text(job.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-c", SAVING_OFTEN, str(folder)],
        cwd=ROOT,
        stdout=open(folder / "log.txt", "ab"),  # the process keeps it
        stderr=subprocess.STDOUT,
        env=os.environ
        | {
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )


def saved(folder: Path) -> int:
    """When the state was saved last."""
    state = folder / "state" / STATE_FILE
    return state.stat().st_mtime_ns if state.exists() else 0


def starts(folder: Path) -> list[int]:
    """From which step each try that came so far has gone on."""
    events = folder / EVENTS_FILE
    return [int(step) for step in re.findall(r"from step (\d+) to", events.read_text() if events.exists() else "")]


@pytest.fixture
def training(tmp_path: Path) -> Path:
    write_set(tmp_path / "training.h5", [drawn(n, (40, 40), n) for n in range(4)])
    return tmp_path / "training.h5"


def test_killed_at_random_moments_the_weights_are_the_undisturbed_ones(training: Path, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(training, straight, **PARAMS)

    random = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    for _ in range(KILLS):
        process, before = start(training, killed), saved(killed)
        while process.poll() is None and saved(killed) == before:
            time.sleep(0.01)
        time.sleep(float(random.uniform(0, 0.4)))
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, (killed / "log.txt").read_text()
    assert start(training, killed).wait(120) == 0, (killed / "log.txt").read_text()
    tried = starts(killed)
    assert len(tried) == KILLS + 1
    assert tried == sorted(set(tried))  # each went on from later
    same_weights(straight, killed)
    about = [json.loads((folder / "partial/model/network.json").read_text()) for folder in (straight, killed)]
    assert about[0] == about[1]
