"""Inference as a process of its own, killed with -9 again and again."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from contract.job import EVENTS_FILE, JOB_FILE, Job
from segmentation.ffn import network as ffn
from stages.storage import ffn_models, volumes

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20
NETWORK = ffn.NetworkSpec(depth=3, features=16, fov=(9, 17, 17), deltas=(1, 2, 2))
SAVING_OFTEN = """
import sys
from pathlib import Path
from stages import __main__ as stages, ffn_infer
ffn_infer._SAVE_INTERVAL_S = 0.05
sys.exit(stages.main(Path(sys.argv[1])))
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A network that follows what is bright, slowly: it looks at every voxel or two, some thousand times in all."""
    model = ffn.build(NETWORK)
    named = {name: np.zeros_like(array) for name, array in ffn.weights(model).items()}
    named["seed_update/conv0_a/weights"][1, 1, 1, 0, :2] = [1, -1]  # bright, dark
    named["seed_update/conv0_b/weights"][1, 1, 1] = np.eye(NETWORK.features)
    named["seed_update/conv_lom/weights"][0, 0, 0, :2, 0] = [12, -12]
    ffn_models.write_model(tmp_path / "model", NETWORK, named, 1)
    image = np.full((24, 56, 72), 60, np.uint8)
    for n in range(4):
        image[2:22, 2 + 14 * n : 12 + 14 * n, 2:70] = 180 + 5 * n
    image = np.clip(image + np.random.default_rng(1).normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    volumes.write_volume(tmp_path / "image.h5", "image", image, volumes.Place())
    return Job(
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


def said(folder: Path) -> str:
    events = folder / EVENTS_FILE
    return events.read_text() if events.exists() else ""


def assert_same(folder: Path, straight: Path) -> None:
    for name in ("segmentation.h5", "seg-0_0_0.npz", "seg-0_0_0.prob", "objects.csv", "overlaps.csv"):
        assert (folder / "out" / name).read_bytes() == (straight / "out" / name).read_bytes(), name


def test_killed_at_twenty_random_moments_the_result_is_the_undisturbed_one(job: Job, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert start(job, straight).wait(300) == 0, (straight / "log.txt").read_text()
    with open(straight / "out" / "objects.csv", newline="") as file:
        assert sum(int(row["fields_of_view"]) for row in csv.DictReader(file)) > 1000

    # Most kills come while it segments, to the twentieth of a second; a few while it starts, or reads its state.
    random = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    kills = continued = 0
    while kills < KILLS:
        process, before = start(job, killed), said(killed).count("seeds")
        if kills % 7:
            while process.poll() is None and said(killed).count("seeds") == before:
                time.sleep(0.01)
            time.sleep(float(random.uniform(0, 0.6)))
        else:
            time.sleep(float(random.uniform(0, 4)))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
            kills += 1
        else:  # killed a few times, it has come to its end: that counts, and it begins again
            assert process.returncode == 0, (killed / "log.txt").read_text()
            continued += said(killed).count("continuing at seed")
            assert_same(killed, straight)
            shutil.rmtree(killed)
    assert start(job, killed).wait(300) == 0, (killed / "log.txt").read_text()
    continued += said(killed).count("continuing at seed")
    assert_same(killed, straight)
    assert continued >= KILLS / 2
