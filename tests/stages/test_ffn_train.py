from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract.job import Job
from floodrunner.contract.stage import Context, InputError, Stopped
from floodrunner.stages import ffn_train
from floodrunner.stages.resumable import state, training
from floodrunner.stages.resumable.training import STATE_FILE
from floodrunner.stages.storage import ffn_models, volumes
from tests.stages.conftest import SMALL
from tests.stages.resumable.stub import Events, Interrupter


def weights(model: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(model / "weights.h5") as file:
        file.visititems(lambda k, v: found.update({k: v[...]}) if isinstance(v, h5py.Dataset) else None)
    return found


def context(tissue: dict[str, Path], folder: Path, events: Any) -> Context:
    job = Job(
        step="this-step",
        stage="ffn-train",
        params={},
        inputs={port: str(path) for port, path in tissue.items()},
        outputs={"model": str(folder / "partial" / "model")},
        state=str(folder / "state"),
    )
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    return Context(job, events)


def train(tissue: dict[str, Path], folder: Path, program: str = "", **params: Any) -> list[str]:
    """Runs the stage with `SMALL` and these parameters; returns its messages."""
    events = Events()
    work = context(tissue, folder, events)
    work.program = program
    ffn_train.run(ffn_train.Params.parse({**SMALL, **params}), work)
    return events.messages()


def same_weights(a: Path, b: Path) -> None:
    expected, found = (weights(folder / "partial" / "model") for folder in (a, b))
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_stopped_and_continued_it_learns_the_same(
    tissue: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle, then again: the same weights to the last bit, examples, moves and optimiser included."""
    monkeypatch.setattr(training, "_REPORT_INTERVAL_S", 0)
    params = {**SMALL, "max_steps": 250, "schedule": "cosine", "learning_rate": 0.01, "checkpoint_steps": 100}
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    events = Events()
    ffn_train.run(ffn_train.Params.parse(params), context(tissue, straight, events))
    losses = dict(events.metrics("loss"))
    assert len(losses) == 250
    assert losses[250] < 0.75 * losses[2]
    network, _ = ffn_models.read_model(straight / "partial" / "model")
    assert network == (2, 4, (5, 7, 9), (1, 2, 3))
    assert json.loads((straight / "partial" / "model" / "network.json").read_text())["step"] == 250
    assert sorted(p.name for p in (straight / "state" / "checkpoints").iterdir()) == ["step-00000100", "step-00000200"]

    work = context(tissue, stopped, Events())
    Interrupter(151, work.request_stop).watch(monkeypatch, work, "stop_point")
    with pytest.raises(Stopped):
        ffn_train.run(ffn_train.Params.parse(params), work)
    assert not (stopped / "partial" / "model").exists()
    _, values = state.load(stopped / "state" / STATE_FILE)  # type: ignore[misc]
    assert any(any(example["offset"]) for example in values["examples"]["examples"])  # a field of view has moved
    assert "from step 150 to 250" in train(tissue, stopped, **params)[-1]
    same_weights(straight, stopped)


@pytest.mark.usefixtures("uncompiled")
def test_more_steps_continue_and_another_training_starts_over(tissue: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "t"
    assert "from step 0 to 3" in train(tissue, folder, max_steps=3)[0]
    continuing, start = train(tissue, folder, max_steps=5, learning_rate=0.01, checkpoint_steps=2)
    assert continuing == "continuing with learning_rate 0.001 -> 0.01"
    assert "from step 3 to 5" in start
    changes: dict[str, Any] = {
        "features": 5, "depth": 1, "fov_xyz": [7, 7, 5], "deltas_xyz": [3, 1, 1], "batch_size": 3, "augment": False,
        "seed": 2,
    }  # fmt: skip
    for number, (name, value) in enumerate(changes.items(), 1):
        told = train(tissue, folder, max_steps=5, **{name: value})[0]
        assert told.startswith("the saved state has other settings or data (")
        assert f"{name} changed" in told or f"{name}," in told
        assert (folder / "state" / f"set-aside-{number}" / STATE_FILE).exists()
    tissue["statistics"].write_text('{"mean": 100, "stddev": 3}')
    told = train(tissue, folder, max_steps=5, seed=2)
    assert "with mean 100 and standard deviation 3, but it has " in told[0]
    assert "has other settings or data (data changed)" in told[1]


def test_positions_too_near_the_border_are_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    words = (
        r"come within \[7, 5, 4\] voxels .* reach \[24, 24, 12\]; set margin_xyz of ffn-coordinates to \[24, 24, 12\]"
    )
    with pytest.raises(InputError, match=words):
        run_stage("ffn-train", tissue, max_steps=1, depth=1, features=1)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fov_xyz": [8, 7, 5]}, "8 is even; a field of view needs a voxel at its centre: use an odd size"),
        (
            {"fov_xyz": [9, 9, 5], "deltas_xyz": [5, 2, 1]},
            r"deltas_xyz \[5, 2, 1\] are too large for fov_xyz \[9, 9, 5\]; use about a quarter",
        ),
        ({"deltas_xyz": [0, 0, 0]}, "deltas_xyz are all 0: the field of view would never move"),
        ({"deltas_xyz": [8, 8, -1]}, "greater than or equal to 0"),
        ({"seed": 2**32}, "less than"),
    ],
)
def test_settings_are_refused_before_anything_is_read(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ffn_train.Params.parse(params)


def test_labels_that_are_no_ids_are_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    labels, place = volumes.read_volume(tissue["labels"])
    volumes.write_volume(tissue["labels"], "labels", labels.astype(np.float32), place)
    with pytest.raises(InputError, match="not integer labels"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


def test_nan_in_the_image_is_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    image, place = volumes.read_volume(tissue["image"])
    image = image.astype(np.float32)
    image[3, 4, 5] = np.nan
    volumes.write_volume(tissue["image"], "image", image, place)
    with pytest.raises(InputError, match=r"image\.h5: contains NaN or infinite values"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


@pytest.mark.parametrize(("mean", "stddev"), [(30000, 5000), (0.4, 0.2)])
def test_statistics_of_another_image_are_refused(
    tissue: dict[str, Path], run_stage: Callable[..., Any], mean: float, stddev: float
) -> None:
    tissue["statistics"].write_text(json.dumps({"mean": mean, "stddev": stddev}))
    words = (
        rf"image.h5: the image is normalised with mean {mean} and standard deviation {stddev}, but it has .* \(values "
    )
    with pytest.raises(InputError, match=words):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


@pytest.mark.usefixtures("uncompiled")
def test_labels_from_another_place_are_said(tissue: dict[str, Path], tmp_path: Path) -> None:
    labels, place = volumes.read_volume(tissue["labels"])
    volumes.write_volume(tissue["labels"], "labels", labels, place.shifted((0, 0, 100)))
    assert train(tissue, tmp_path / "t", max_steps=1)[0] == (
        f"offset_xyz is [0, 0, 0] in {tissue['image']}, but [100, 0, 0] in {tissue['labels']}; they are laid over each "
        "other voxel by voxel, so check that both show the same part of the tissue"
    )


def test_volumes_of_other_sizes_are_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    labels, place = volumes.read_volume(tissue["labels"])
    volumes.write_volume(tissue["labels"], "labels", labels[:-1], place)
    with pytest.raises(
        InputError, match=r"image.h5: the image is 40 x 32 x 20 voxels \(x, y, z\), but the labels are 40 x 32 x 19"
    ):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


def test_an_image_of_one_grey_is_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    tissue["statistics"].write_text('{"mean": 7, "stddev": 0}')
    with pytest.raises(InputError, match="an image of one grey cannot be normalised"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


def test_what_is_no_table_is_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    tissue["coordinates"] = tissue["image"]
    with pytest.raises(InputError, match="is not a table of positions"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)
