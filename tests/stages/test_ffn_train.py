from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from contract.job import Job
from contract.stage import Context, InputError, StageError, Stopped
from stages import ffn_train
from stages.resumable import ffn_training, state
from stages.resumable.ffn_training import STATE_FILE, Training
from stages.storage import ffn_models, volumes
from tests.stages.conftest import SMALL


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


class Events:
    """An events file in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))

    def messages(self) -> list[str]:
        return [line["text"] for line in self.lines if line["event"] == "message"]

    def flush(self) -> None:
        pass


def test_training_lowers_the_loss_and_writes_a_model(run_stage: Callable[..., Any], tissue: dict[str, Path]) -> None:
    few = run_stage("ffn-train", tissue, max_steps=2, checkpoint_steps=1, learning_rate=0.01, **SMALL)
    long = run_stage("ffn-train", tissue, max_steps=300, checkpoint_steps=100, learning_rate=0.01, **SMALL)
    first, last = (r.reported("metric")[-1]["value"] for r in (few, long))
    assert last < 0.75 * first
    network, _ = ffn_models.read_model(long["model"])
    assert network == (2, 4, (5, 7, 9), (1, 2, 3))
    assert json.loads((long["model"] / "network.json").read_text())["step"] == 300
    state = long["model"].parent / "state"
    assert sorted(p.name for p in (state / "checkpoints").iterdir()) == [f"step-{n:08d}" for n in (100, 200, 300)]
    assert list((state / "tensorboard").glob("events.out.tfevents.*"))


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


LIVELY = {"max_steps": 60, "schedule": "cosine", "learning_rate": 0.01}
"""By the middle, the mask of some example has grown and its field of view has moved."""


def test_stopped_and_continued_is_undisturbed(tissue: dict[str, Path], tmp_path: Path) -> None:
    """Ctrl-C in the middle, then again: the same weights to the last bit, examples, moves and optimiser included."""
    train(tissue, tmp_path / "straight", **LIVELY)

    work = context(tissue, tmp_path / "stopped", Events())
    points = 0

    def stop_point(save: Callable[[], None]) -> None:
        nonlocal points
        points += 1
        if points == 40:
            save()
            raise Stopped

    work.stop_point = stop_point  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        ffn_train.run(ffn_train.Params.parse({**SMALL, **LIVELY}), work)
    assert not (tmp_path / "stopped" / "partial" / "model").exists()
    _, values = state.load(tmp_path / "stopped" / "state" / STATE_FILE)  # type: ignore[misc]
    assert any(any(example["offset"]) for example in values["examples"]["examples"])
    assert "from step 40 to 60" in train(tissue, tmp_path / "stopped", **LIVELY)[-1]
    same_weights(tmp_path / "straight", tmp_path / "stopped")


def test_killed_and_continued_from_the_last_save_is_undisturbed(
    tissue: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after kill -9: nothing is saved on the way out."""

    class Killed(BaseException):
        pass

    train(tissue, tmp_path / "straight", **LIVELY)
    monkeypatch.setattr(ffn_training, "_SAVE_INTERVAL_S", 0)
    work = context(tissue, tmp_path / "killed", Events())
    points = 0

    def stop_point(save: Callable[[], None]) -> None:
        nonlocal points
        points += 1
        if points == 30:
            raise Killed

    work.stop_point = stop_point  # type: ignore[method-assign]
    with pytest.raises(Killed):
        ffn_train.run(ffn_train.Params.parse({**SMALL, **LIVELY}), work)
    assert "from step 29 to 60" in train(tissue, tmp_path / "killed", **LIVELY)[-1]
    same_weights(tmp_path / "straight", tmp_path / "killed")


def test_the_cosine_falls_from_the_learning_rate_to_zero(tissue: dict[str, Path], tmp_path: Path) -> None:
    def rates(schedule: str) -> list[float]:
        params = ffn_train.Params.parse({"schedule": schedule, "max_steps": 100, "learning_rate": 0.01})
        training = Training(params, None, None, None, None, "", context(tissue, tmp_path, Events()))  # type: ignore[arg-type]
        return [training._learning_rate(step) for step in (0, 25, 50, 100)]

    assert rates("cosine") == pytest.approx([0.01, 0.01 * (0.5 + 0.5**1.5), 0.005, 0])
    assert rates("constant") == [0.01] * 4


def test_more_steps_continue_and_another_training_starts_over(tissue: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "t"
    assert "from step 0 to 3" in train(tissue, folder, max_steps=3)[0]
    going_on, start = train(tissue, folder, max_steps=5, learning_rate=0.01)
    assert going_on == "going on with learning_rate 0.001 -> 0.01"
    assert "from step 3 to 5" in start
    aside, start = train(tissue, folder, max_steps=5, features=5)
    assert aside == (
        "the saved state is of another training (features changed): kept in state/set-aside-1, starting over"
    )
    assert "from step 0 to 5" in start
    assert (folder / "state" / "set-aside-1" / STATE_FILE).exists()
    tissue["statistics"].write_text('{"mean": 10, "stddev": 3}')
    assert (
        "of another training (data changed): kept in state/set-aside-2"
        in train(tissue, folder, features=5, max_steps=5)[0]
    )


def test_a_finished_training_does_not_pretend_to_be_another(tissue: dict[str, Path], tmp_path: Path) -> None:
    train(tissue, tmp_path, "this code", max_steps=3)
    with pytest.raises(InputError, match="max_steps is 2, but 3 steps are trained already; set it to 3 or more, or"):
        train(tissue, tmp_path, "this code", max_steps=2)
    with pytest.raises(
        InputError, match=r"all 3 steps are trained already, and learning_rate 0\.001 -> 0\.1 would change"
    ):
        train(tissue, tmp_path, "this code", max_steps=3, learning_rate=0.1)
    told = train(tissue, tmp_path, "other code", max_steps=3)[0]
    assert told == (
        "the code or a library has changed since step 3; its weights are kept (--force this-step starts afresh)"
    )
    assert len(train(tissue, tmp_path, "this code", max_steps=3)) == 1


def test_a_loss_that_is_not_a_number_stops(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    with pytest.raises(StageError, match=r"the loss is not a number at step \d+: training diverged; try a learning_ra"):
        run_stage("ffn-train", tissue, max_steps=200, learning_rate=1e30, **SMALL)


def test_positions_too_near_the_border_are_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    words = (
        r"come within \[7, 5, 4\] voxels .* reach \[24, 24, 12\]; set margin_xyz of ffn-coordinates to \[24, 24, 12\]"
    )
    with pytest.raises(InputError, match=words):
        run_stage("ffn-train", tissue, max_steps=1, depth=1, features=1)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fov_xyz": [8, 7, 5]}, "8 is even; a field of view has a centre: use an odd size"),
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


def test_a_damaged_state_is_refused(tissue: dict[str, Path], tmp_path: Path) -> None:
    train(tissue, tmp_path, max_steps=2)
    state = tmp_path / "state" / STATE_FILE
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(
        InputError, match=r"training\.h5: the saved state is truncated or damaged; put back a copy of it"
    ):
        train(tissue, tmp_path, max_steps=3)


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
    with pytest.raises(InputError, match=r"image\.h5: holds values that are not numbers"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


def test_volumes_of_other_sizes_are_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    labels, place = volumes.read_volume(tissue["labels"])
    volumes.write_volume(tissue["labels"], "labels", labels[:-1], place)
    with pytest.raises(InputError, match=r"image.h5: 40 x 32 x 20 voxels \(x, y, z\), but the labels are 40 x 32 x 19"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


def test_an_image_of_one_grey_is_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    tissue["statistics"].write_text('{"mean": 7, "stddev": 0}')
    with pytest.raises(InputError, match="an image of one grey cannot be normalised"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)


def test_what_is_no_table_is_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    tissue["coordinates"] = tissue["image"]
    with pytest.raises(InputError, match="is no table of training positions"):
        run_stage("ffn-train", tissue, max_steps=1, **SMALL)
