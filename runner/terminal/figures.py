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

    They are of the last step that scores; if none does, of the last step that has figures and makes more of its inputs
    than to read them. What was read says nothing about the result. Within a step the stage's own order decides.
    """
    stages = {step: facts.stage for run in runs for step, facts in run.asked.steps.items()}
    scoring = [step for step, stage in stages.items() if stage.startswith("evaluate")]
    of_note = scoring or [step for step, stage in stages.items() if not stage.startswith("import")]
    with_figures = [step for step in of_note if any(run.metrics(step) for run in runs)]
    if not with_figures:
        return []
    step = with_figures[-1]
    return [(step, name) for name in dict.fromkeys(name for run in runs for name in run.metrics(step))][:_MOST_MAIN]


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
