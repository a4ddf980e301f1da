"""The loop of all trainings, with a training of three variables."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from floodrunner.contract.stage import InputError, StageError, Stopped
from floodrunner.stages.resumable import state, training
from floodrunner.stages.resumable.training import STATE_FILE, Progress, Schedule
from tests.stages.resumable.stub import Descent, Events, Interrupter, Killed, context, train


def raise_killed() -> None:
    raise Killed


def assert_same(one: Descent, other: Descent, folders: tuple[Path, Path]) -> None:
    for a, b in zip(
        [*(v.value for v in one.variables), one.best], [*(v.value for v in other.variables), other.best], strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert one.validations == other.validations
    (arrays, values), (others, other_values) = (state.load(folder / STATE_FILE) for folder in folders)  # type: ignore[misc]
    assert arrays.keys() == others.keys()
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)
    for each in (values, other_values):
        each["progress"].pop("seconds")
    assert values == other_values


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_interrupted_at_any_call_and_continued_is_undisturbed(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop, which saves, and a kill, which does not: at each call of the task, of stop points, and within saving."""
    monkeypatch.setattr(training, "_SAVE_INTERVAL_S", 0 if how == "killed" else 300)
    straight = Descent()
    train(tmp_path / "straight", straight)
    assert straight.validations[-1][0] == 10
    assert len(straight.validations) == 3
    continued = 0
    for number in itertools.count(1):
        folder, first = tmp_path / str(number), Descent()
        work = context(folder, Events())
        interrupter = Interrupter(number, work.request_stop if how == "stopped" else raise_killed)
        with monkeypatch.context() as patched:
            for owner, name in (
                *((first, name) for name in ("step", "between_steps", "enough", "state")),
                (work, "stop_point"),
                (os, "fsync"),
                (Path, "replace"),
            ):
                interrupter.watch(patched, owner, name)
            with contextlib.suppress(Stopped, Killed):
                train(folder, first, work=work)
        if interrupter.calls < number:
            break
        again = Descent()
        events = train(folder, again)
        continued += "from step 0 to 10" not in events.messages()
        assert_same(straight, again, (tmp_path / "straight", folder))
    assert number > 40
    assert continued > 0.8 * number


def test_the_cosine_falls_from_the_learning_rate_to_zero(tmp_path: Path) -> None:
    expected = [0.01, 0.01 * (0.5 + 0.5**1.5), 0.005, 0.01 * (0.5 - 0.5**1.5)]
    for shape, rates in (("cosine", expected), ("constant", [0.01] * 4)):
        task = Descent()
        train(tmp_path / shape, task, max_steps=4, rate=0.01, shape=shape)
        assert task.rates == pytest.approx(rates)
    assert Schedule(4, 0.01, "cosine").rate(1.0) == 0


def test_the_share_done_is_that_of_steps_or_of_time() -> None:
    progress = Progress(step=30, seconds=45.0)
    assert Schedule(100, 1.0, "constant").share(progress) == 0.3
    assert Schedule(100, 1.0, "constant", max_minutes=1.0).share(progress) == 0.75
    assert Schedule(40, 1.0, "constant", max_minutes=1.0).share(progress) == 0.75
    assert Schedule(30, 1.0, "constant", max_minutes=10.0).share(progress) == 1


def test_reports_have_the_mean_of_the_last_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_REPORT_INTERVAL_S", 0)
    monkeypatch.setattr(training, "_LOSS_WINDOW", 3)
    losses: list[float] = []

    class Watched(Descent):
        def step(self) -> float:
            losses.append(super().step())
            return losses[-1]

    events = train(tmp_path, Watched(), max_steps=6)
    reported = dict(events.metrics("loss"))
    assert list(reported) == [1, 2, 3, 4, 5, 6]
    assert reported[6] == pytest.approx(np.mean(losses[-3:]))
    assert reported[2] == pytest.approx(np.mean(losses[:2]))
    done = [line for line in events.lines if line["event"] == "progress"]
    assert (done[-1]["done"], done[-1]["total"], done[-1]["unit"]) == (6, 6, "steps")
    assert [step for step, _ in events.metrics("validation")] == [4, 6]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_the_last_loss_is_reported_however_short_the_training(tmp_path: Path) -> None:
    assert [step for step, _ in train(tmp_path, max_steps=2).metrics("loss")] == [2]


def test_a_task_that_has_had_enough_ends_the_training(tmp_path: Path) -> None:
    task = Descent(stops_at=2)
    train(tmp_path, task, max_steps=100)
    assert [step for step, _ in task.validations] == [4, 8]
    assert not train(tmp_path, Descent(stops_at=2), max_steps=100).metrics("loss")  # it has had enough already
    task = Descent(stops_at=3)
    assert "from step 8 to 100" in train(tmp_path, task, max_steps=100).messages()
    assert [step for step, _ in task.validations] == [4, 8, 12]


def test_minutes_are_a_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_REPORT_INTERVAL_S", 0)
    seconds = itertools.count(1000.0, 10.0)
    monkeypatch.setattr(training.time, "monotonic", lambda: next(seconds))
    task = Descent()
    events = train(tmp_path, task, max_steps=10**6, max_minutes=1.0)
    last = [line for line in events.lines if line["event"] == "progress" and line["unit"] == "minutes"][-1]
    assert last["total"] == 1
    assert last["done"] == pytest.approx(1, abs=0.2)
    assert 4 <= task.validations[-1][0] <= 6  # a step takes 10 seconds; the last validation is at the end
    again = Descent()
    train(tmp_path, again, max_steps=10**6, max_minutes=1.0)
    assert not again.rates  # the time is over


def test_more_steps_continue_and_another_training_starts_over(tmp_path: Path) -> None:
    assert train(tmp_path, max_steps=3).messages() == ["from step 0 to 3"]
    told = train(tmp_path, max_steps=5, rate=0.01).messages()
    assert told == ["continuing with learning_rate 0.05 -> 0.01", "from step 3 to 5"]
    told = train(tmp_path, max_steps=5, identity={"seed": 2, "depth": 3}).messages()
    assert told == [
        "the saved state has other settings or data (seed, depth changed): it is kept in state/set-aside-1, and "
        "training starts over",
        "from step 0 to 5",
    ]
    assert (tmp_path / "set-aside-1" / STATE_FILE).exists()


def test_settings_are_compared_under_their_names_of_today(tmp_path: Path) -> None:
    train(tmp_path, max_steps=3)
    arrays, values = state.load(tmp_path / STATE_FILE)  # type: ignore[misc]
    values["manner"]["rate"] = values["manner"].pop("learning_rate")
    state.save(tmp_path / STATE_FILE, arrays, values)
    told = train(tmp_path, max_steps=4, rate=0.01).messages()
    assert told == ["continuing with learning_rate 0.05 -> 0.01", "from step 3 to 4"]


def test_a_state_without_progress_is_continued(tmp_path: Path) -> None:
    """Earlier trainings of flood-filling networks saved neither seconds nor losses."""
    train(tmp_path, max_steps=3)
    arrays, values = state.load(tmp_path / STATE_FILE)  # type: ignore[misc]
    del values["progress"]
    state.save(tmp_path / STATE_FILE, arrays, values)
    assert train(tmp_path, max_steps=5).messages() == ["from step 3 to 5"]


def test_a_finished_training_does_not_pretend_to_be_another(tmp_path: Path) -> None:
    train(tmp_path, max_steps=3, program="this code")
    with pytest.raises(
        InputError, match="max_steps is 2, but training has already done 3 steps; set max_steps to 3 or more, or"
    ):
        train(tmp_path, max_steps=2, program="this code")
    with pytest.raises(
        InputError, match=r"already done all 3 steps, so learning_rate 0\.05 -> 0\.1 would have no effect; raise"
    ):
        train(tmp_path, max_steps=3, rate=0.1, program="this code")
    told = train(tmp_path, max_steps=3, program="other code").messages()[0]
    assert told == (
        "the code or a library has changed since step 3; the weights are kept (--force this-step starts over)"
    )
    assert len(train(tmp_path, max_steps=3, program="this code").messages()) == 1


def test_a_loss_that_is_not_a_number_stops_and_the_saved_state_stays(tmp_path: Path) -> None:
    train(tmp_path, max_steps=3)
    good = (tmp_path / STATE_FILE).read_bytes()

    class Diverging(Descent):
        def step(self) -> float:
            return super().step() if len(self.rates) < 1 else float("nan")

    words = r"not a number at step 4: training diverged; set learning_rate below 0\.05 and run again"
    with pytest.raises(StageError, match=words):
        train(tmp_path, Diverging(), max_steps=8)
    assert (tmp_path / STATE_FILE).read_bytes() == good


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    class Diverging(Descent):
        def step(self) -> float:
            loss = super().step()
            self.weight.assign([np.inf, 0])
            return loss

    with pytest.raises(StageError, match="not a number at step 1: training diverged"):
        train(tmp_path, Diverging(), max_steps=1)
    assert not (tmp_path / STATE_FILE).exists()


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    train(tmp_path, max_steps=2)
    file = tmp_path / STATE_FILE
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(
        InputError, match=r"training\.h5: the saved state is truncated or damaged; put back a copy of it"
    ):
        train(tmp_path, max_steps=3)


def test_every_variable_counts(tmp_path: Path) -> None:
    """So that the test of interruptions can fail: with another momentum in the state, the weights differ."""
    straight, again = Descent(), Descent()
    train(tmp_path / "straight", straight, shape="constant")
    train(tmp_path / "again", max_steps=5, shape="constant")
    arrays, values = state.load(tmp_path / "again" / STATE_FILE)  # type: ignore[misc]
    arrays["variables/1"][:] = 0
    state.save(tmp_path / "again" / STATE_FILE, arrays, values)
    train(tmp_path / "again", again, shape="constant")
    assert not np.array_equal(straight.weight.value, again.weight.value)
