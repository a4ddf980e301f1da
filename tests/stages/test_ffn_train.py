from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stages import _contract, _models, _volumes, ffn_train
from stages._contract import InputError, StageError, Stopped
from tests.stages.conftest import SMALL


def weights(model: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(model / "weights.h5") as file:
        file.visititems(lambda k, v: found.update({k: v[...]}) if isinstance(v, h5py.Dataset) else None)
    return found


def context(tissue: dict[str, Path], folder: Path, events: Any) -> _contract.Context:
    job = _contract.Job(
        stage="ffn-train",
        params={},
        inputs={port: str(path) for port, path in tissue.items()},
        outputs={"model": str(folder / "partial" / "model")},
        state=str(folder / "state"),
    )
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    return _contract.Context(job, events)


class StopAt:
    """An events file that asks for a stop when a line with this text is written."""

    def __init__(self, text: str = "never") -> None:
        self.lines: list[dict[str, Any]] = []
        self.text = text
        self.context: _contract.Context | None = None

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))
        if self.text in line and self.context is not None:
            self.context.request_stop()

    def flush(self) -> None:
        pass


def test_training_lowers_the_loss_and_writes_a_model(run_stage: Callable[..., Any], tissue: dict[str, Path]) -> None:
    few = run_stage("ffn-train", tissue, max_steps=2, checkpoint_steps=1, learning_rate=0.01, **SMALL)
    long = run_stage("ffn-train", tissue, max_steps=300, checkpoint_steps=100, learning_rate=0.01, **SMALL)
    first, last = (r.reported("metric")[-1]["value"] for r in (few, long))
    assert last < 0.75 * first
    network, _ = _models.read_model(long["model"])
    assert network == (2, 4, (5, 7, 7), (1, 2, 2))
    assert json.loads((long["model"] / "network.json").read_text())["step"] == 300
    state = long["model"].parent / "state"
    assert sorted(p.name for p in (state / "checkpoints").iterdir()) == [f"step-{n:08d}" for n in (100, 200, 300)]
    assert list((state / "tensorboard").glob("events.out.tfevents.*"))


def test_stopped_and_continued_is_undisturbed(tissue: dict[str, Path], tmp_path: Path) -> None:
    """Ctrl-C in the middle, then again: the same weights to the last bit, examples, moves and optimiser included."""
    params = ffn_train.Params.parse({"max_steps": 40, "schedule": "cosine", **SMALL})
    straight = StopAt()
    ffn_train.run(params, context(tissue, tmp_path / "straight", straight))

    stopping = StopAt("training on")
    stopping.context = context(tissue, tmp_path / "stopped", stopping)
    stopping.context.request_stop = lambda: setattr(stopping.context, "stop_requested", True)  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        ffn_train.run(params, stopping.context)
    assert not (tmp_path / "stopped" / "partial" / "model").exists()
    again = StopAt()
    ffn_train.run(params, context(tissue, tmp_path / "stopped", again))
    assert "from step 1 to 40" in again.lines[0]["text"]

    expected = weights(tmp_path / "straight" / "partial" / "model")
    found = weights(tmp_path / "stopped" / "partial" / "model")
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_more_steps_continue_and_another_network_starts_over(tissue: dict[str, Path], tmp_path: Path) -> None:
    def train(**params: Any) -> list[str]:
        events = StopAt()
        ffn_train.run(ffn_train.Params.parse({**SMALL, **params}), context(tissue, tmp_path / "t", events))
        return [line["text"] for line in events.lines if line["event"] == "message"]

    assert "from step 0 to 3" in train(max_steps=3)[0]
    assert "from step 3 to 5" in train(max_steps=5, learning_rate=0.01)[0]
    aside, start = train(max_steps=5, features=5)
    assert aside == (
        "the saved state is of another training (features changed): kept in state/set-aside-1, starting over"
    )
    assert "from step 0 to 5" in start
    assert (tmp_path / "t" / "state" / "set-aside-1" / ffn_train.STATE_FILE).exists()


def test_fewer_steps_than_were_trained_are_refused(tissue: dict[str, Path], tmp_path: Path) -> None:
    ffn_train.run(ffn_train.Params.parse({**SMALL, "max_steps": 3}), context(tissue, tmp_path, StopAt()))
    with pytest.raises(InputError, match="max_steps is 2, but 3 steps are trained already; set it to 3 or more, or"):
        ffn_train.run(ffn_train.Params.parse({**SMALL, "max_steps": 2}), context(tissue, tmp_path, StopAt()))


def test_a_loss_that_is_not_a_number_stops(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    with pytest.raises(StageError, match=r"the loss is not a number at step \d+: training diverged; try a learning_ra"):
        run_stage("ffn-train", tissue, max_steps=200, learning_rate=1e30, **SMALL)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fov_xyz": [8, 7, 5]}, r"fov_xyz \[8, 7, 5\] has an even size"),
        ({"fov_xyz": [33, 33, 17], "deltas_xyz": [8, 8, 4]}, r"come within \[5, 5, 4\] voxels .* reach \[24, 24, 12\]"),
        ({"deltas_xyz": [4, 2, 1]}, r"deltas_xyz \[4, 2, 1\] leave the field of view"),
    ],
)
def test_sizes_that_do_not_fit(
    tissue: dict[str, Path], run_stage: Callable[..., Any], params: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run_stage("ffn-train", tissue, **{**SMALL, "max_steps": 1, **params})


def test_volumes_of_other_sizes_are_refused(tissue: dict[str, Path], run_stage: Callable[..., Any]) -> None:
    labels, place = _volumes.read_volume(tissue["labels"])
    _volumes.write_volume(tissue["labels"], "labels", labels[:-1], place)
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
