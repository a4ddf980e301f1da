"""What a flood-filling network's training adds to the loop: moves, and weights kept on the way."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from floodrunner.segmentation.ffn import network as ffn
from floodrunner.stages.resumable.ffn_training import FFNTask
from tests.stages.resumable.stub import Variable, train

SPEC = ffn.NetworkSpec(1, 1, (5, 5, 5), (1, 1, 1))


class Examples:
    """Counts the moves, which are its state."""

    def __init__(self) -> None:
        self.moves: list[float] = []
        self.masks = np.zeros(2, np.float32)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        return self.masks + len(self.moves), self.masks

    def update(self, logits: np.ndarray) -> None:
        self.moves.append(float(logits[0]))
        self.masks = logits

    def state(self) -> dict[str, Any]:
        return {"moves": list(self.moves), "masks": self.masks}

    def restore(self, saved: dict[str, Any]) -> None:
        self.moves, self.masks = list(saved["moves"]), saved["masks"]


def task(examples: Examples, folder: Path) -> FFNTask:
    weight, rate = Variable([1.0]), Variable(0.0)
    model: Any = SimpleNamespace(variables=[weight])
    optimizer: Any = SimpleNamespace(variables=[rate], learning_rate=rate)

    def step(given: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        weight.assign(weight.value + 1)
        return 0.5, given + 1

    return FFNTask(SPEC, model, optimizer, step, examples, folder, 3)  # type: ignore[arg-type]


def test_outputs_move_the_examples_and_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffn, "weights", lambda model: {"w": model.variables[0].numpy()})
    straight, broken, again = Examples(), Examples(), Examples()
    checkpoints = tmp_path / "checkpoints"
    train(tmp_path / "straight", task(straight, tmp_path / "of straight"), max_steps=8)
    train(tmp_path / "broken", task(broken, checkpoints), max_steps=4)
    assert "from step 4 to 8" in train(tmp_path / "broken", task(again, checkpoints), max_steps=8).messages()
    assert again.moves == straight.moves
    assert len(again.moves) == 8
    np.testing.assert_array_equal(again.masks, straight.masks)
    assert sorted(folder.name for folder in checkpoints.iterdir()) == ["step-00000003", "step-00000006"]
    for folder in checkpoints.iterdir():
        step = json.loads((folder / "network.json").read_text())["step"]
        assert folder.name.endswith(str(step))
        other = tmp_path / "of straight" / folder.name / "weights.h5"
        assert (folder / "weights.h5").read_bytes() == other.read_bytes()
