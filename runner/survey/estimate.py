"""Estimates what a run needs, time, memory and disk, from the report of a survey and the speed of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from floodrunner.contract.survey import Cost
from floodrunner.runner import words
from floodrunner.runner.survey.speeds import START_S, Speed, key

_START_NETWORK_S = 8.0
"""Starting a stage that loads TensorFlow and compiles a network, on two idle cores."""


@dataclass(frozen=True)
class Estimate:
    """What a step needs.

    Attributes:
      cost: None if nothing is known of the step.
      seconds: least and most, with the start of the step; None if the speed is not known.
      speed: by which the time was estimated, if it was measured; None if it is a rough one or not known.
    """

    step: str
    cost: Cost | None
    seconds: tuple[float, float] | None
    speed: Speed | None = None


@dataclass(frozen=True)
class Total:
    """What several steps need together.

    Attributes:
      seconds: least and most of the steps whose speed is known; None if there is none.
      at_most: whether they may well take less, as a speed was found while the machine was busy.
      unknown: the steps whose speed is not known.
      memory: bytes that the largest step needs.
      disk: bytes that all steps write.
    """

    seconds: tuple[float, float] | None
    at_most: bool
    unknown: tuple[str, ...]
    memory: float
    disk: float


def estimate(
    steps: Sequence[str], costs: Mapping[str, Cost], devices: Mapping[str, str], speeds: Mapping[str, Speed]
) -> list[Estimate]:
    """Estimates the time of each step.

    Args:
      costs: step -> what it needs.
      devices: step -> what it computes with (see `speeds.device`).
      speeds: what runs and measurements have found (see `speeds.known`).
    """
    found = []
    for step in steps:
        cost = costs.get(step)
        if cost is None or cost.work is None:
            found.append(Estimate(step, cost, None))
            continue
        work = cost.work
        speed = speeds.get(key(devices[step], work.speed))
        rate = speed.rate if speed is not None else work.rough
        start = START_S if work.network is None else _START_NETWORK_S
        seconds = None if rate is None else (start + work.least / rate, start + work.most / rate)
        found.append(Estimate(step, cost, seconds, speed))
    return found


def total(estimates: Sequence[Estimate]) -> Total:
    """What all steps need together, one after the other."""
    known = [each.seconds for each in estimates if each.seconds is not None]
    costs = [each.cost for each in estimates if each.cost is not None]
    return Total(
        seconds=(sum(least for least, _ in known), sum(most for _, most in known)) if known else None,
        at_most=any(each.speed is not None and each.speed.at_least for each in estimates),
        unknown=tuple(each.step for each in estimates if each.seconds is None),
        memory=max((cost.memory for cost in costs), default=0),
        disk=sum(cost.disk for cost in costs),
    )


def warnings(estimates: Sequence[Estimate], limits: Mapping[str, float], free: int) -> list[str]:
    """A line for each step that probably has too little memory, and one if the disk is probably too small.

    Both are estimates, so they stop nothing.

    Args:
      limits: step -> bytes of memory that it may use.
    """
    found = []
    for each in estimates:
        if each.cost is not None and each.cost.memory > limits[each.step]:
            less = f"{each.cost.less_memory}, or " if each.cost.less_memory else ""
            found.append(
                f"{each.step}: needs about {words.size(each.cost.memory)} of memory, but may use "
                f"{words.size(limits[each.step])}; try {less}a machine with more memory"
            )
    if (disk := total(estimates).disk) > free:
        found.append(
            f"the steps write about {words.size(disk)}, and {words.size(free)} are free; free some space, or choose "
            "another run folder with --workdir"
        )
    return found
