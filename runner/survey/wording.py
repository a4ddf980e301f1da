"""Says in words what a run needs: a table for `plan`, a line for `run`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from floodrunner.contract.survey import Work
from floodrunner.runner import words
from floodrunner.runner.survey.estimate import Estimate, Total, total
from floodrunner.runner.survey.speeds import RUN, Speed

_DAY = 86_400
_UNITS = ((90 * 60, "minute", 60), (36 * 3600, "hour", 3600), (3 * 365 * _DAY, "day", _DAY))
_HEADS = ("step", "time", "memory", "disk")


def table(estimates: Sequence[Estimate], free: int) -> list[str]:
    """The estimates as lines of at most about 80 characters, with the sums of all steps.

    Args:
      free: free bytes on the disk of the run folder.
    """
    rows = [_row(each.step, total([each])) for each in estimates]
    rows.append(_row("in all", total(estimates)))
    widths = [max(len(row[k]) for row in (*rows, _HEADS)) for k in range(4)]
    lines = ["  " + "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  " + "  ".join(text.ljust(w) for text, w in zip(_HEADS, widths, strict=True)).rstrip()
    notes = [f"  {each.step}: {why}" for each in estimates if (why := _why(each))]
    return [f"It needs about this ({words.size(free)} of disk are free):", head, *lines, *notes]


def in_short(estimates: Sequence[Estimate]) -> str:
    """The sums of all steps in one line, for a run; "" if nothing is known."""
    whole = total(estimates)
    if not whole.memory:
        return ""
    parts = []
    measurable = [each for each in estimates if each.seconds is None and _is_measurable(each)]
    if measurable:
        named = ", ".join(
            f"{each.step} ({_amount(each.cost.work)})" for each in measurable if each.cost and each.cost.work
        )
        parts.append(f"{named}: speed not known yet (floodrunner plan measures it)")
    if others := [each.step for each in estimates if each.seconds is None and not _is_measurable(each)]:
        parts.append(f"{words.listed(others)}: time not known")
    if whole.seconds is not None:
        parts.append(f"{'the other steps need' if parts else 'this needs'} {_roughly(whole)}")
    return "; ".join([*parts, f"{_gb(whole.memory)} of memory, {_gb(whole.disk)} of disk"])


def about(seconds: float) -> str:
    """A time as people say it, two digits of it: `under a minute`, `12 minutes`, `5 hours`, `420 days`, `3 years`.

    Below a minute the start of Python and the load of the machine count more than the work.
    """
    if seconds < 60:
        return "under a minute"
    for limit, unit, length in _UNITS:
        if seconds < limit:
            return _counted(seconds / length, unit)
    return _counted(seconds / _DAY / 365, "year")


def _counted(number: float, unit: str) -> str:
    text = _number(max(1, round(number)))
    return f"{text} {unit}{'' if text == '1' else 's'}"


def _row(step: str, needs: Total) -> tuple[str, str, str, str]:
    if needs.seconds is None or (needs.unknown and needs.seconds[1] < 60):
        time = "not known"
    else:
        time = _times(needs) + (" and more" if needs.unknown else "")
    return step, time, _gb(needs.memory), _gb(needs.disk)


def _roughly(needs: Total) -> str:
    """A time in a sentence: `about 5 minutes`, `under a minute`."""
    time = _times(needs)
    return time if time.startswith(("under", "up to")) else f"about {time}"


def _times(needs: Total) -> str:
    """`5 minutes`, `3 to 11 hours`, `40 minutes to 2 hours`, `5 minutes or less`."""
    if needs.seconds is None:
        return "not known"
    shortest, longest = needs.seconds
    least, most = about(shortest), about(longest)
    if longest < 60:
        return most
    less = " or less" if needs.at_most else ""
    if least == most or longest < 1.2 * shortest:
        return f"{most}{less}"
    if shortest < 60:
        return f"up to {most}"
    number, _, unit = least.partition(" ")
    same = most.rstrip("s").endswith(unit.rstrip("s"))
    return f"{number if same else least} to {most}{less}"


def _gb(count: float) -> str:
    if not count:
        return "not known"
    return words.size(count) if count < 1e9 else f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:,.0f} GB"


def _is_measurable(each: Estimate) -> bool:
    return each.cost is not None and each.cost.work is not None and each.cost.work.network is not None


def _why(each: Estimate) -> str:
    """What the time of a step is made of; "" if that is of no interest."""
    work = each.cost.work if each.cost is not None else None
    if work is None or (work.network is None and work.rough is not None):
        return ""
    if each.speed is not None:
        return f"{_amount(work)}, {_number(each.speed.rate)} a second{_source(each.speed)}"
    return f"{_amount(work)}; their speed is not known"


def _amount(work: Work) -> str:
    if work.most > work.least:
        amount = f"{_number(work.least)} to {_number(work.most)} {work.unit}, depending on the image"
    elif work.least == round(work.least):
        amount = f"{work.least:,.0f} {work.unit}"
    else:
        amount = f"{_number(work.least)} {work.unit}"
    return f"at most {amount}" if work.may_end_early else amount


def _source(speed: Speed) -> str:
    source = "as an earlier run" if speed.how == RUN else "measured"
    return f" or more ({source}, while the machine was busy)" if speed.at_least else f" ({source})"


def _number(value: float) -> str:
    """Two significant digits: `0.028`, `7.5`, `170`, `31,000`."""
    if value < 10:
        return f"{value:.2g}"
    step = 10 ** (math.floor(math.log10(value)) - 1)
    return f"{round(value / step) * step:,}"
