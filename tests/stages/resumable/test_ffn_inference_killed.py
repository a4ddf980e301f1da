"""Inference as a process of its own, killed with -9. `test_ffn_inference.py` interrupts at any call."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from floodrunner.contract.job import EVENTS_FILE, JOB_FILE, Job
from floodrunner.segmentation.ffn import network as ffn
from floodrunner.stages.resumable import ffn_inference
from floodrunner.stages.storage import ffn_models, volumes

ROOT = Path(__file__).resolve().parents[3]
KILLS = 2
NETWORK = ffn.NetworkSpec(depth=3, features=16, fov=(9, 17, 17), deltas=(1, 2, 2))
SAVING_OFTEN = """
import sys
from pathlib import Path
from floodrunner.stages import __main__ as stages
from floodrunner.stages.resumable import ffn_inference
ffn_inference._SAVE_INTERVAL_S = 0.05
sys.exit(stages.main(Path(sys.argv[1])))
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A network that follows what is bright, slowly: the network is called for every voxel or two."""
    model = ffn.build(NETWORK)
    named = {name: np.zeros_like(array) for name, array in ffn.weights(model).items()}
    named["seed_update/conv0_a/weights"][1, 1, 1, 0, :2] = [1, -1]  # bright, dark
    named["seed_update/conv0_b/weights"][1, 1, 1] = np.eye(NETWORK.features)
    named["seed_update/conv_lom/weights"][0, 0, 0, :2, 0] = [12, -12]
    ffn_models.write_model(tmp_path / "model", NETWORK, named, 1)
    image = np.full((24, 28, 48), 60, np.uint8)
    for n in range(2):
        image[2:22, 2 + 14 * n : 12 + 14 * n, 2:46] = 180 + 5 * n
    image = np.clip(image + np.random.default_rng(1).normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    volumes.write_volume(tmp_path / "image.h5", "image", image, volumes.Place())
    return Job(
        step="this-step",
        stage="ffn-infer",
        params={"image_mean": 120.0, "image_stddev": 60.0, "min_segment_size": 100},
        inputs={"image": str(tmp_path / "image.h5"), "model": str(tmp_path / "model")},
        outputs={},
        state="",
    )


def start(job: Job, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    outputs = {"segmentation": str(folder / "out" / "segmentation.h5")}
    mine = job.model_copy(update={"outputs": outputs, "state": str(folder / "state")})
    (folder / JOB_FILE).write_text(mine.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-c", SAVING_OFTEN, str(folder)],
        cwd=ROOT,
        stdout=open(folder / "log.txt", "ab"),  # the process keeps it
        stderr=subprocess.STDOUT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def test_killed_twice_the_result_is_the_undisturbed_one(job: Job, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert start(job, straight).wait(300) == 0, (straight / "log.txt").read_text()
    with open(straight / "out" / "origins.csv", newline="") as file:
        assert sum(int(row["fields_of_view"]) for row in csv.DictReader(file)) > 500

    state = killed / "state" / ffn_inference.STATE_FILE
    for _ in range(KILLS):
        process, before = start(job, killed), state.stat().st_mtime_ns if state.exists() else 0
        while process.poll() is None and (state.stat().st_mtime_ns if state.exists() else 0) == before:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, (killed / "log.txt").read_text()
    assert start(job, killed).wait(300) == 0, (killed / "log.txt").read_text()
    assert (killed / EVENTS_FILE).read_text().count("continuing at seed") == KILLS
    for name in ("segmentation.h5", "seg-0_0_0.npz", "seg-0_0_0.prob", "origins.csv", "overlaps.csv"):
        assert (killed / "out" / name).read_bytes() == (straight / "out" / name).read_bytes(), name
