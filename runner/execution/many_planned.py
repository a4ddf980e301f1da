"""What `plan` shows for many stacks: what most have in common once, then a line for each, and the sums."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from floodrunner.runner import words
from floodrunner.runner.execution import looking
from floodrunner.runner.execution.many import Stack
from floodrunner.runner.execution.skip import Decision
from floodrunner.runner.survey import wording
from floodrunner.runner.survey.estimate import Total
from floodrunner.runner.terminal import table
from floodrunner.runner.terminal.table import Cell, Column


def lines(stacks: Sequence[Stack]) -> list[str]:
    """The plans of stacks of one pipeline. What single stacks have in their own is named in their line."""
    first = stacks[0].setting
    usual = {step: _usual([each.decisions[step] for each in stacks]) for step in stacks[0].decisions}
    needs = [looking.needs(each.before) for each in stacks]
    rows: list[list[Cell]] = [
        [
            words.here(stack.setting.plan.workdir),
            f"{sum(each.runs is not False for each in stack.decisions.values())} of {len(usual)}",
            *_needs(need),
            _own(stack, usual),
        ]
        for stack, need in zip(stacks, needs, strict=True)
    ]
    whole = _sum(needs)
    rows.append(["in all", str(sum(each.runs is not False for each in _all(stacks))), *_needs(whole), []])
    width = max(map(len, usual))
    columns = [Column("run folder", whole=True), Column("steps to run"), Column("time at most"), Column("disk")]
    return [
        f"{words.shown(first.plan.name)} for {len(stacks)} stacks, {first.engine_line}",
        *(f"  {step:{width}}  {each.word:7}  {each.reason}" for step, each in usual.items()),
        *dict.fromkeys(stack.replaced for stack in stacks if stack.replaced),
        *table.lines([*columns, Column("unlike the others")], rows),
        *_warnings(stacks, whole),
    ]


def _usual(decisions: Sequence[Decision]) -> Decision:
    return Counter(decisions).most_common(1)[0][0]


def _own(stack: Stack, usual: dict[str, Decision]) -> list[str]:
    own = [(step, each) for step, each in stack.decisions.items() if each != usual[step]]
    return [f"{step}: {each.word}, {each.reason}" for step, each in own]


def _all(stacks: Sequence[Stack]) -> list[Decision]:
    return list(itertools.chain.from_iterable(stack.decisions.values() for stack in stacks))


def _sum(needs: Sequence[Total]) -> Total:
    times = [need.seconds for need in needs if need.seconds is not None]
    return Total(
        seconds=(sum(least for least, _ in times), sum(most for _, most in times)) if times else None,
        at_most=any(need.at_most for need in needs),
        unknown=tuple(dict.fromkeys(step for need in needs for step in need.unknown)),
        memory=max(need.memory for need in needs),
        disk=sum(need.disk for need in needs),
    )


def _needs(need: Total) -> list[str]:
    time = wording.about(need.seconds[1]) if need.seconds else "not known" if need.unknown else ""
    more = " and more" if need.seconds and need.unknown else ""
    return [time + more, words.size(need.disk) if need.disk else ""]


def _warnings(stacks: Sequence[Stack], whole: Total) -> list[str]:
    found = list(dict.fromkeys(each.before.trouble for each in stacks if each.before.trouble))
    if whole.unknown:
        found.append(
            f"The speed of {words.listed(whole.unknown)} is not known; floodrunner plan for one stack measures it"
        )
    return found
