"""What a U-Net's training adds to the loop: validation, the best weights, early stopping. Without Keras's networks."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.stage import Stopped
from floodrunner.segmentation.scores.overlap import dice
from floodrunner.segmentation.unet.losses import Pooled
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.stages.resumable import state
from floodrunner.stages.resumable.training import STATE_FILE
from floodrunner.stages.resumable.unet_training import UNetTask, Validation
from tests.stages.resumable.stub import Events, Interrupter, Variable, context, train

GENERATOR = np.random.default_rng(3)
PICTURES = [
    (GENERATOR.random((*shape, 1)).astype(np.float32), (GENERATOR.random((*shape, 3)) > 0.6).astype(np.float32))
    for shape in ((48, 40), (20, 64), (24, 28))
]


class Examples:
    """Batches of one number, and the state of its generator."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(1)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        return self.generator.random(1), np.zeros(1)

    def state(self) -> dict[str, Any]:
        return dict(self.generator.bit_generator.state)

    def restore(self, saved: dict[str, Any]) -> None:
        self.generator.bit_generator.state = saved


def task(interval: int = 2, patience: int = 100, best_at: float = 0.3) -> UNetTask:
    """A network of one weight, which each step makes larger: it predicts best when that is `best_at`."""
    weight, average, rate = Variable(0.0), Variable(0.0), Variable(0.0)
    model: Any = SimpleNamespace(variables=[weight, average], weights=[weight, average])
    optimizer: Any = SimpleNamespace(variables=[rate], learning_rate=rate)

    def step(given: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        weight.assign(weight.value + rate.value)
        average.assign(0.9 * average.value + given[0])
        return float(given[0]), given

    def forward(given: np.ndarray) -> np.ndarray:
        certain = 0.9 - abs(float(weight.value) - best_at)
        truth = next(t for image, t in PICTURES if image.shape[:2] == image_of(given).shape[:2])
        return np.where(truth > 0, certain, 1 - certain).astype(np.float32)[None]

    def image_of(given: np.ndarray) -> np.ndarray:
        return next(
            image for image, _ in PICTURES if np.array_equal(given[0, : image.shape[0], : image.shape[1]], image)
        )

    spec = NetworkSpec("classic", 1, 1, 1)
    validation = Validation(PICTURES, "dice+bce", interval, patience)
    return UNetTask(spec, model, optimizer, step, forward, Examples(), validation)  # type: ignore[arg-type]


def test_a_validation_takes_all_pictures_as_one(tmp_path: Path) -> None:
    one = task(interval=5, best_at=0.5)
    events = train(tmp_path, one, max_steps=5, rate=0.02, shape="constant")
    certain = np.float32(0.9 - 0.4)
    together, alone, overlaps = Pooled(), [], []
    for image, truth in PICTURES:
        found = np.where(truth > 0, certain, 1 - certain) + 0 * image
        together.add(truth, found)
        alone.append(Pooled())
        alone[-1].add(truth, found)
        overlaps.append(dice(found[..., 0] > 0.5, truth[..., 0] > 0.5))
    expected = together.value("dice+bce")
    assert events.metrics("validation_loss") == [(5, pytest.approx(expected, rel=1e-5))]
    assert events.metrics("validation_dice") == [(5, pytest.approx(np.mean(overlaps), abs=1e-6))]
    assert abs(np.mean([each.value("dice+bce") for each in alone]) / expected - 1) > 1e-4
    assert one.validations[0]["loss"] == pytest.approx(np.random.default_rng(1).random(5).mean())


def test_the_best_weights_are_kept_and_training_stops_early(tmp_path: Path) -> None:
    one = task(patience=3)
    events = train(tmp_path, one, max_steps=100, rate=0.05, shape="constant")
    assert [step for step, _ in events.metrics("validation_loss")] == [2, 4, 6, 8, 10, 12]
    losses = [loss for _, loss in events.metrics("validation_loss")]
    assert losses.index(min(losses)) == 2
    assert one.without_gain() == 3
    assert one.best[0] == pytest.approx(0.3)
    assert one.variables[0].numpy() == pytest.approx(0.6)  # and training has gone on
    more = task(patience=4)
    assert "from step 12 to 100" in train(tmp_path, more, max_steps=100, rate=0.05, shape="constant").messages()
    assert [each["step"] for each in more.validations] == [2, 4, 6, 8, 10, 12, 14]
    assert more.best[0] == pytest.approx(0.3)


def test_there_is_a_validation_at_the_end(tmp_path: Path) -> None:
    one = task(interval=4)
    train(tmp_path, one, max_steps=6)
    assert [each["step"] for each in one.validations] == [4, 6]


def test_stopped_at_any_point_and_continued_is_undisturbed(tmp_path: Path) -> None:
    """Within validations too."""
    straight = task()
    train(tmp_path / "straight", straight, max_steps=6, rate=0.09)
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        work = context(folder, Events())
        interrupter = Interrupter(number, work.request_stop)
        with pytest.MonkeyPatch.context() as patched, contextlib.suppress(Stopped):
            interrupter.watch(patched, work, "stop_point")
            train(folder, task(), max_steps=6, rate=0.09, work=work)
        if interrupter.calls < number:
            break
        again = task()
        train(folder, again, max_steps=6, rate=0.09)
        assert again.validations == straight.validations
        for one, other in zip(straight.variables, again.variables, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert straight.best == again.best
    assert number == 7 + 3 * len(PICTURES) + 1


def test_validations_of_earlier_states_are_read(tmp_path: Path) -> None:
    """There they are `looks`, in what else is saved of the progress."""
    first = task()
    train(tmp_path, first, max_steps=4, rate=0.09)
    arrays, values = state.load(tmp_path / STATE_FILE)  # type: ignore[misc]
    values["progress"]["looks"] = values.pop("validations")
    state.save(tmp_path / STATE_FILE, arrays, values)
    again = task()
    assert train(tmp_path, again, max_steps=4, rate=0.09).messages() == ["from step 4 to 4"]
    assert again.validations == first.validations
    assert len(again.validations) == 2
