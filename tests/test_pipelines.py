"""The pipelines as they are shipped, run with the command a user types.

Two variables say what is there already, so that nothing is done twice; `.ci/run` sets them.
FLOODRUNNER_TEST_IMAGE: an image of this checkout; the pipelines then run in containers, elsewhere as processes.
FLOODRUNNER_TEST_QUICKSTART: the run folder of the quick start, run as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
IMAGE = os.environ.get("FLOODRUNNER_TEST_IMAGE", "")
ENGINE = ["--engine", "docker" if IMAGE else "local"]
pytestmark = [pytest.mark.docker] if IMAGE else []
TINY_NETWORK = ["train.depth=2", "train.features=4"]


def floodrunner(*args: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("floodrunner")), *(str(arg) for arg in args)]
    environment = os.environ | {"FLOODRUNNER_IMAGE": IMAGE}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL
    )


def settings(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


@pytest.mark.real_data
def test_ffn_on_real_sections_runs_to_the_score(shared: Path, tmp_path: Path) -> None:
    """70 sections of 512 x 512; training cut short, a small box."""
    data = shared / "snemi3d"
    arguments = [
        "pipelines/ffn.yaml",
        *ENGINE,
        *("--input", f"images={data / 'images'}", "--input", f"labels={data / 'labels'}"),
        *("--workdir", tmp_path / "run"),
        *settings(*TINY_NETWORK, "train.max_steps=20"),
        *settings("segment.box_xyz={start: [200, 100, 20], size: [64, 48, 24]}", "segment.min_segment_size=10"),
        *settings("segment.move_threshold=0.3", "segment.segment_threshold=0.2"),  # so that 20 steps find anything
    ]
    done = floodrunner("run", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    metrics = json.loads((tmp_path / "run" / "score" / "metrics.json").read_text())
    assert metrics["truth_objects"] > 3
    assert 0 <= metrics["unsegmented_as_background"]["adapted_rand_error"] <= 1
    assert len(list((tmp_path / "run" / "png" / "sections").glob("*.png"))) == 24
    assert "overview.png" in done.stdout

    again = floodrunner("run", *arguments)
    assert again.returncode == 0
    assert again.stdout.count("skipped (nothing changed)") == 10
    assert "overview.png" in again.stdout

    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["engine"]


def test_quickstart_runs_to_its_pictures(tmp_path: Path) -> None:
    """Smaller tissue, and a network that learns nothing in 20 steps: every step is run, whatever its quality."""
    finished = os.environ.get("FLOODRUNNER_TEST_QUICKSTART")
    smaller = [] if finished else ["tissue.size_xyz=[96, 96, 24]", "unseen.size_xyz=[64, 64, 16]", *TINY_NETWORK]
    steps = 8000 if finished else 20
    run = Path(finished) if finished else tmp_path / "run"
    arguments = [
        "pipelines/quickstart.yaml",
        *("--workdir", run),
        *(("--engine", "local") if finished else ENGINE),
        *settings(*smaller, f"train.max_steps={steps}"),
    ]
    done = floodrunner("run", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (run / "score" / "metrics.json").exists()
    for picture in ("tissue/preview.png", "png/overview.png"):
        assert (run / picture).exists()
        assert picture in done.stdout
    planned = floodrunner("plan", *arguments[:-1], f"train.max_steps={steps + 10}")
    assert f"max_steps: {steps} -> {steps + 10}" in planned.stdout
    assert planned.stdout.count("nothing changed") == 6


@pytest.mark.real_data
def test_a_request_for_google_ffn_runs_unchanged(shared: Path, tmp_path: Path) -> None:
    """That of google/ffn's tutorial, with its model, on 64 x 64 x 40 voxels."""
    theirs = shared / "snemi3d"
    images = [np.array(Image.open(path)) for path in sorted((theirs / "images").glob("*.png"))]
    with h5py.File(tmp_path / "image.h5", "w") as file:
        file["raw"] = np.stack(images)
    shutil.copytree(theirs / "checkpoint", tmp_path / "checkpoint")
    shutil.copy(theirs / "inference.pbtxt", tmp_path)

    box = "start { x:0 y:0 z:0 } size { x:64 y:64 z:40 }"
    made = floodrunner("import-ffn", "inference.pbtxt", "--bounding-box", box, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = floodrunner("run", "inference.yaml", *ENGINE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    run = tmp_path / "runs" / "inference"
    ids = sorted((run / "png" / "ids").glob("*.png"))
    assert len(ids) == 40
    volume = np.stack([np.array(Image.open(path)) for path in ids])
    theirs_form = np.load(run / "segment" / "seg-0_0_0.npz", allow_pickle=False)["segmentation"]
    np.testing.assert_array_equal(volume, theirs_form)
    objects = np.unique(theirs_form[theirs_form > 0])
    assert len(objects) >= 3
    assert np.bincount(theirs_form.ravel())[objects].min() >= 1000


TINY_UNET = ["train.depth=2", "train.width=4", "train.crop=64", "train.max_steps=6", "train.validation_interval=3"]


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["dsb2018", "isbi2012"])
def test_unet_on_real_pictures_runs_to_the_score(name: str, shared: Path, tmp_path: Path) -> None:
    """Some of the nuclei, of several sizes, with an id for each, or of the EM sections, whose masks are binary."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for file in sorted((shared / name / kind).iterdir())[:6]:
            shutil.copy(file, tmp_path / kind)
    arguments = [
        "pipelines/unet.yaml",
        *ENGINE,
        *("--input", f"images={tmp_path / 'images'}", "--input", f"labels={tmp_path / 'labels'}"),
        *("--workdir", tmp_path / "run"),
        *settings(*TINY_UNET, "find.threshold=0.3"),
    ]
    done = floodrunner("run", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    metrics = json.loads((tmp_path / "run" / "score" / "metrics.json").read_text())
    assert 0 < metrics["dice"] <= 1
    if name == "dsb2018":
        assert metrics["v_rand"] is None
    else:
        assert 0 < metrics["v_rand"] <= 1
    assert 0 <= metrics["average_precision"]["0.50"] <= 1
    assert (tmp_path / "run" / "find" / "cells.csv").exists()
    for picture in ("train/curves.png", "find/overlay"):
        assert (tmp_path / "run" / picture).exists()
        assert picture in done.stdout
    assert floodrunner("run", *arguments).stdout.count("skipped (nothing changed)") == 4


def test_unet_quickstart_runs_to_its_pictures(tmp_path: Path) -> None:
    """Few small pictures, and a network that learns nothing in 6 steps: every step is run, whatever its quality."""
    arguments = [
        "pipelines/unet-quickstart.yaml",
        *ENGINE,
        *("--workdir", tmp_path / "run"),
        *settings("nuclei.pictures=4", "nuclei.test_pictures=2", "nuclei.width=96", "nuclei.height=80", *TINY_UNET),
    ]
    done = floodrunner("run", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (tmp_path / "run" / "score" / "metrics.json").exists()
    assert len(list((tmp_path / "run" / "find" / "overlay").glob("*.png"))) == 2
    assert "nuclei/preview.png" in done.stdout
