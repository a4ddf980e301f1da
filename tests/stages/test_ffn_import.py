from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn import checkpoint
from floodrunner.segmentation.ffn import network as ffn
from floodrunner.stages.storage import ffn_models

SMALL = ffn.NetworkSpec(depth=3, features=4, fov=(5, 9, 9), deltas=(1, 2, 2))
GEOMETRY = {"fov_xyz": [9, 9, 5], "deltas_xyz": [2, 2, 1]}


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {k: generator.normal(size=v.shape).astype(np.float32) for k, v in ffn.weights(ffn.build(SMALL)).items()}


@pytest.fixture
def folder(tmp_path: Path, weights: dict[str, np.ndarray]) -> Path:
    """Checkpoints of three steps: as text, the newest would be the one of 900."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for step in (900, 1000, 20):
        checkpoint.write(
            folder / f"model.ckpt-{step}", weights | {"seed_update/conv_lom/biases": np.float32([step])}, step
        )
    return folder


def bias(model: Path) -> float:
    return float(ffn_models.read_weights(model)[1]["seed_update/conv_lom/biases"][0])


def test_the_newest_is_taken_over(run_stage: Callable[..., Any], folder: Path, weights: dict[str, np.ndarray]) -> None:
    result = run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY)
    network, read, step = ffn_models.read_weights(result["model"])
    assert (network, step) == (SMALL, 1000)
    assert read.keys() == weights.keys()
    for name in weights.keys() - {"seed_update/conv_lom/biases"}:
        np.testing.assert_array_equal(read[name], weights[name])
    assert bias(result["model"]) == 1000
    assert result.reported("message")[0]["text"] == "model.ckpt-1000: 1,000 steps, depth 3, 4 features"
    ffn_models.read_model(result["model"])


def test_the_one_that_is_named_is_taken(run_stage: Callable[..., Any], folder: Path) -> None:
    assert bias(run_stage("ffn-import", {"checkpoint": folder}, name="model.ckpt-900", **GEOMETRY)["model"]) == 900


def test_there_and_back_is_the_same(run_stage: Callable[..., Any], folder: Path) -> None:
    model = run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY)["model"]
    exported = run_stage("ffn-export", {"model": model})["checkpoint"]
    again = run_stage("ffn-import", {"checkpoint": exported}, **GEOMETRY)["model"]
    for name in ("weights.h5", "network.json"):
        assert (again / name).read_bytes() == (model / name).read_bytes()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"name": "model.ckpt-7"},
            r"theirs: holds no checkpoint model.ckpt-7; it has model.ckpt-1000, model.ckpt-900, ",
        ),
        ({"depth": 9}, r"model.ckpt-1000: has depth 3, not 9; leave depth out, or correct it"),
    ],
)
def test_what_is_not_there(run_stage: Callable[..., Any], folder: Path, params: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY, **params)


def test_a_folder_without_one(run_stage: Callable[..., Any], tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="holds no TensorFlow checkpoint"):
        run_stage("ffn-import", {"checkpoint": tmp_path}, **GEOMETRY)
    with pytest.raises(InputError, match=r"index: is a file; name its folder, and choose"):
        run_stage("ffn-import", {"checkpoint": folder / "model.ckpt-900.index"}, **GEOMETRY)


def test_a_checkpoint_that_is_damaged_or_another_models(
    run_stage: Callable[..., Any], folder: Path, weights: dict[str, np.ndarray]
) -> None:
    data = folder / "model.ckpt-1000.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(
        InputError, match=r"model.ckpt-1000: the files are missing, truncated or damaged; copy them again"
    ):
        run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY)
    del weights["seed_update/conv1_b/biases"]
    checkpoint.write(folder / "model.ckpt-2000", weights, 2000)
    with pytest.raises(InputError, match=r"model.ckpt-2000: weights seed_update/conv1_b/biases: only in the network"):
        run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY)


def test_a_training_that_diverged(run_stage: Callable[..., Any], folder: Path, weights: dict[str, np.ndarray]) -> None:
    weights["seed_update/conv1_b/biases"][2] = np.nan
    checkpoint.write(folder / "model.ckpt-2000", weights, 2000)
    with pytest.raises(
        InputError, match=r"model.ckpt-2000: holds weights that are not numbers, because training diverged"
    ):
        run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY)


def test_arguments_of_google_ffn_come_with_the_export(run_stage: Callable[..., Any], folder: Path) -> None:
    model = run_stage("ffn-import", {"checkpoint": folder}, **GEOMETRY)["model"]
    told = [event["text"] for event in run_stage("ffn-export", {"model": model}).reported("message")]
    quoted = told[0].removeprefix("write into google/ffn's inference request: model_args: ")
    assert json.loads(json.loads(quoted)) == {"depth": 3, "fov_size": [9, 9, 5], "deltas": [2, 2, 1]}
    assert told[1].startswith("this network has 4 features; google/ffn's ConvStack3DFFNModel has 32")
