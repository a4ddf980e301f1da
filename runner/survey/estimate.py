"""Estimates what a run needs, time, memory and disk, from the report of a survey and the speed of this machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from floodrunner.contract.survey import Cost, Work
from floodrunner.runner import machine, words
from floodrunner.runner.survey.speeds import RUN, Speed

_DAY = 86_400
_UNITS = ((1.5, "second", 1), (90, "second", 1), (90 * 60, "minute", 60), (36 * 3600, "hour", 3600))


@dataclass(frozen=True)
class Estimate:
    """What a step needs.

    Attributes:
      seconds: least and most; None if the speed is not known.
      why: what the time is made of, in words; "" if that is of no interest.
    """

    step: str
    cost: Cost
    seconds: tuple[float, float] | None
    why: str


@dataclass(frozen=True)
class Total:
    """What several steps need together.

    Attributes:
      seconds: least and most of the steps whose speed is known; None if there is none.
      unknown: the steps whose speed is not known.
      memory: bytes that the largest step needs.
      disk: bytes that all steps write.
    """

    seconds: tuple[float, float] | None
    unknown: tuple[str, ...]
    memory: float
    disk: float


def estimate(
    steps: Mapping[str, Cost], devices: Mapping[str, str], speeds: Mapping[str, Speed], now: Mapping[str, Speed]
) -> list[Estimate]:
    """Estimates the time of each step.

    Args:
      steps: step -> what it needs.
      devices: step -> what it computes with (see `speeds.device`).
      speeds: what earlier runs and measurements found (see `speeds.known`).
      now: the same for what has just been measured.
    """
    found = []
    for step, cost in steps.items():
        work = cost.work
        if work is None:
            found.append(Estimate(step, cost, None, ""))
            continue
        key = f"{devices[step]}: {work.speed}"
        rate, source = work.rough, ""
        if key in now:
            rate, source = now[key].rate, f"measured now{_busy()}"
        elif key in speeds:
            rate, source = speeds[key].rate, "as an earlier run" if speeds[key].how == RUN else "measured earlier"
        seconds = None if rate is None else (work.least / rate, work.most / rate)
        of_note = work.network is not None or work.rough is None
        found.append(Estimate(step, cost, seconds, _why(work, rate, source) if of_note else ""))
    return found


def table(estimates: Sequence[Estimate], free: int) -> list[str]:
    """The estimates as lines of at most about 80 characters, with the sums of all steps.

    Args:
      free: free bytes on the disk of the run folder.
    """
    rows = [(each.step, _times(each.seconds), _gb(each.cost.memory), _gb(each.cost.disk)) for each in estimates]
    known = [each.seconds for each in estimates if each.seconds is not None]
    whole = (sum(least for least, _ in known), sum(most for _, most in known)) if known else None
    memory, disk = max(each.cost.memory for each in estimates), sum(each.cost.disk for each in estimates)
    more = " and more" if whole and len(known) < len(estimates) else ""
    rows.append(("in all", _times(whole) + more, _gb(memory), _gb(disk)))
    widths = [max(len(row[k]) for row in (*rows, _HEADS)) for k in range(4)]
    lines = ["  " + "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  " + "  ".join(text.ljust(w) for text, w in zip(_HEADS, widths, strict=True)).rstrip()
    notes = [f"  {each.step}: {each.why}" for each in estimates if each.why]
    return [f"It needs about this ({words.size(free)} of disk are free):", head, *lines, *notes]


_HEADS = ("step", "time", "memory", "disk")


def total(estimates: Sequence[Estimate]) -> Total:
    """What all steps need together, one after the other."""
    known = [each.seconds for each in estimates if each.seconds is not None]
    return Total(
        (sum(least for least, _ in known), sum(most for _, most in known)) if known else None,
        tuple(each.step for each in estimates if each.seconds is None),
        max((each.cost.memory for each in estimates), default=0),
        sum(each.cost.disk for each in estimates),
    )


def in_short(estimates: Sequence[Estimate]) -> str:
    """The sums of all steps in one line, for a run; "" if nothing is known."""
    known = [each.seconds for each in estimates if each.seconds is not None]
    if not known:
        return ""
    whole = (sum(least for least, _ in known), sum(most for _, most in known))
    memory = max(each.cost.memory for each in estimates)
    disk = sum(each.cost.disk for each in estimates)
    unknown = [each.step for each in estimates if each.seconds is None]
    without = f", without {words.listed(unknown)}, whose speed floodrunner plan measures" if unknown else ""
    return f"this needs about {_times(whole)}{without}; {_gb(memory)} of memory, {_gb(disk)} of disk"


def warnings(estimates: Sequence[Estimate], limits: Mapping[str, float], free: int) -> list[str]:
    """A line for each step that probably has too little memory, and one if the disk is probably too small.

    Both are estimates, so they stop nothing.

    Args:
      limits: step -> bytes of memory that it may use.
    """
    found = [
        f"{each.step}: needs about {words.size(each.cost.memory)} of memory, but may use "
        f"{words.size(limits[each.step])}; try a smaller box_xyz, fewer sections or smaller batches, or a machine with "
        "more memory"
        for each in estimates
        if each.cost.memory > limits[each.step]
    ]
    if (disk := sum(each.cost.disk for each in estimates)) > free:
        found.append(
            f"the steps write about {words.size(disk)}, and {words.size(free)} are free; free some space, or choose "
            "another run folder with --workdir"
        )
    return found


def about(seconds: float) -> str:
    """A time as people say it: `a second`, `40 seconds`, `12 minutes`, `5 hours`, `12 days`, `3 years`."""
    if seconds < 1.5:
        return "a second"
    for limit, unit, length in _UNITS:
        if seconds < limit:
            return _counted(seconds / length, unit)
    days = seconds / _DAY
    return _counted(days, "day") if days < 3 * 365 else _counted(days / 365, "year")


def _counted(number: float, unit: str) -> str:
    digits = 10 ** max(math.floor(math.log10(max(number, 1))) - 1, 0)  # two are enough, three of days
    whole = max(1, round(number) if unit == "day" else round(number / digits) * digits)
    return f"{whole:,} {unit}{'' if whole == 1 else 's'}"


def _times(seconds: tuple[float, float] | None) -> str:
    if seconds is None:
        return "not known"
    least, most = (about(each) for each in seconds)
    if least == most or seconds[1] < 1.2 * seconds[0]:
        return most
    number, _, unit = least.partition(" ")
    return f"{number} to {most}" if most.rstrip("s").endswith(unit.rstrip("s")) else f"{least} to {most}"


def _gb(count: float) -> str:
    return words.size(count) if count < 1e9 else f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:,.0f} GB"


def _why(work: Work, rate: float | None, source: str) -> str:
    amount = f"{_number(work.least)} {work.unit}"
    if work.most > work.least:
        amount = f"{_number(work.least)} to {_number(work.most)} {work.unit}, as the tissue needs"
    if work.may_end_early:
        amount = f"at most {amount}"
    if rate is None:
        plan = ": floodrunner plan measures it" if work.network else ""
        return f"{amount}; their speed is not known{plan}"
    return f"{amount}, {rate:.3g} a second ({source})"


def _busy() -> str:
    """An addition for measurements on a machine that has other work: they are too slow then."""
    return ", while the machine is busy" if machine.is_busy() else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
