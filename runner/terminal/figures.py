"""Chooses the figures that say most about a result, and says how a figure moved."""

from __future__ import annotations

from collections.abc import Sequence

from floodrunner.runner import words
from floodrunner.runner.workdir.past import Past

_MOST_MAIN = 3
_LOWER = (
    "error",
    "errors",
    "loss",
    "merges",
    "splits",
    "merged",
    "split",
    "missed",
    "spurious",
    "distance",
    "unsegmented",
)
_HIGHER = ("precision", "recall", "dice", "iou", "f1", "accuracy", "rand", "info")
"""Words in the name of a figure. The first list counts more: the `adapted_rand_error` is an error."""


def main(runs: Sequence[Past]) -> list[tuple[str, str]]:
    """The main figures of runs of one pipeline: step and name, at most three.

    Those of steps that score come first, then those of the last steps, because they are nearest to the result. Within a
    step the stage's own order decides.
    """
    steps = list(dict.fromkeys(step for run in runs for step in run.asked.steps))
    scoring = [step for step in steps if any(_scores(run, step) for run in runs)]
    found: dict[tuple[str, str], None] = {}
    for step in [*reversed(scoring), *reversed(steps)]:
        for run in runs:
            found.update({(step, name): None for name in run.metrics(step)})
        if found and not scoring:  # figures of earlier steps are about something else
            break
        if step in scoring and found:
            break
    return list(found)[:_MOST_MAIN]


def _scores(run: Past, step: str) -> bool:
    return step in run.asked.steps and run.asked.steps[step].stage.startswith("evaluate") and bool(run.metrics(step))


def better(name: str) -> int:
    """The direction in which a figure gets better: 1 up, -1 down, 0 if that is not known."""
    parts = name.split("_")
    return -1 if any(word in _LOWER for word in parts) else 1 if any(word in _HIGHER for word in parts) else 0


def change(name: str, old: float | None, new: float | None) -> str:
    """How a figure moved: `+0.21, better`; `unchanged`. Also says so if the two look alike and are not."""
    if old == new:
        return "unchanged"
    if old is None or new is None:
        return "not a number in one"
    sign = "+" if new > old else "-"
    moved = f"{sign}{words.number(abs(new - old))}"
    direction = better(name) * (1 if new > old else -1)
    return moved + {1: ", better", -1: ", worse", 0: ""}[direction]
