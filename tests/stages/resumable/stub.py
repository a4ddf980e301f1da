"""A training of three variables, to test the loop of all trainings within milliseconds a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.job import Job
from floodrunner.contract.stage import Context
from floodrunner.stages.resumable import training
from floodrunner.stages.resumable.training import Progress, Record

VALIDATION_INTERVAL = 4


class Events:
    """An events file in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))

    def flush(self) -> None:
        pass

    def messages(self) -> list[str]:
        return [line["text"] for line in self.lines if line["event"] == "message"]

    def conclusions(self) -> list[str]:
        return [line["text"] for line in self.lines if line["event"] == "conclusion"]

    def metrics(self, name: str) -> list[tuple[int, float]]:
        return [(line["step"], line["value"]) for line in self.lines if line.get("name") == name]


class Variable:
    """As `keras.Variable`: as far as the loop uses it."""

    def __init__(self, value: Any) -> None:
        self.value = np.array(value, np.float32)

    def assign(self, value: Any) -> None:
        self.value = np.array(value, np.float32)

    def numpy(self) -> np.ndarray:
        return self.value


class Descent:
    """Finds the mean of random numbers by gradient descent with momentum; keeps the mean of every fourth weight."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.weight, self.momentum, self.learning_rate = Variable([5.0, -5.0]), Variable([0.0, 0.0]), Variable(0.0)
        self.variables = [self.weight, self.momentum, self.learning_rate]
        self.validations: list[tuple[int, float]] = []
        self.best = np.zeros(2, np.float32)
        self.rates: list[float] = []
        self._generator, self._stops_at = np.random.default_rng(1), stops_at

    def step(self) -> float:
        self.rates.append(float(self.learning_rate.value))
        gradient = self.weight.value - self._generator.normal(1, 0.1, 2)
        self.momentum.assign(0.9 * self.momentum.value + gradient)
        self.weight.assign(self.weight.value - self.learning_rate.value * self.momentum.value)
        return float(np.square(gradient).sum())

    def between_steps(self, progress: Progress, ending: bool, record: Record, stop_point: Callable[[], None]) -> bool:
        last = self.validations[-1][0] if self.validations else 0
        due = progress.step > last and (ending or progress.step % VALIDATION_INTERVAL == 0)
        if due:
            for _ in range(2):
                stop_point()
            self.best = self.weight.value.copy()
            self.validations.append((progress.step, progress.mean_loss()))
            record("validation", progress.mean_loss())
        return due

    def enough(self) -> bool:
        return self._stops_at is not None and len(self.validations) >= self._stops_at

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return {"best": self.best}, {
            "generator": self._generator.bit_generator.state,
            "validations": self.validations,
        }

    def restore(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        self.best = arrays["best"]
        self._generator.bit_generator.state = values["generator"]
        self.validations = [tuple(each) for each in values["validations"]]


def context(folder: Path, events: Events, program: str = "") -> Context:
    job = Job(
        step="this-step",
        stage="",
        params={},
        inputs={},
        outputs={"model": str(folder / "model")},
        state=str(folder),
        program=program,
    )
    return Context(job, events)  # type: ignore[arg-type]


def train(
    folder: Path,
    task: training.Task | None = None,
    max_steps: int = 10,
    rate: float = 0.05,
    shape: str = "cosine",
    max_minutes: float | None = None,
    identity: Mapping[str, Any] | None = None,
    program: str = "",
    work: Context | None = None,
) -> Events:
    """Resumes and trains, as a stage does; `Descent` unless another task is given."""
    events = Events()
    work = work or context(folder, events, program)
    task = task or Descent()
    saved = training.Saved(work, {"seed": 1, **(identity or {})}, {"learning_rate": rate}, {"rate": "learning_rate"})
    progress = saved.resume(task, max_steps)
    work.message(f"from step {progress.step} to {max_steps}")
    with work.saves_on_stop():
        training.train(task, training.Schedule(max_steps, rate, shape, max_minutes), progress, saved, work)
    return events


class Killed(BaseException):
    """As kill -9: nothing more is done."""


class Interrupter:
    """Interrupts at the n-th call of any of the functions that it watches."""

    def __init__(self, at: int, how: Callable[[], None]) -> None:
        self.at, self.how, self.calls = at, how, 0

    def watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def watched(*args: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                self.how()
            return real(*args, **named)

        monkeypatch.setattr(owner, name, watched)
