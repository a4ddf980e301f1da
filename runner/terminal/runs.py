"""The table of run folders: what each run was given, how it ended, and its main figures."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floodrunner.contract.ports import split_dataset
from floodrunner.runner import words
from floodrunner.runner.terminal import figures, table
from floodrunner.runner.terminal.table import Cell, Column
from floodrunner.runner.workdir import records
from floodrunner.runner.workdir.lock import holder
from floodrunner.runner.workdir.past import Past

_LONGEST_VALUE = 60
_MOST_COLUMNS = 3  # for parameters; of more, each run lists its own
_FIGURE = re.compile(r"(-?[\d.]+(e[-+]?\d+)?|not a number)[*?]")
_STATES = {"bad-input": "failed", "bug": "failed", "interrupted": "stopped"}
_OLD, _UNSURE = "*", "?"
_MEANINGS = {
    _OLD: "* out of date: floodrunner status RUN says why",
    _UNSURE: "? may be out of date: floodrunner status RUN says why",
}


def listing(runs: Sequence[Past]) -> list[str]:
    """Lines of a table for each pipeline. The pipeline that ran last comes last, and so does the run that ran last."""
    groups: dict[str, list[Past]] = {}
    for run in sorted(runs, key=lambda run: run.asked.started):
        groups.setdefault(run.asked.pipeline.name, []).append(run)
    lines: list[str] = []
    for name, group in sorted(groups.items(), key=lambda item: item[1][-1].asked.started):
        lines += ([""] if lines else []) + _of_pipeline(name, group)
    return lines


def _of_pipeline(name: str, runs: Sequence[Past]) -> list[str]:
    inputs = list(dict.fromkeys(each for run in runs for each in run.asked.inputs))
    varying = [each for each in inputs if len({_input(run, each, runs) for run in runs}) > 1 or len(runs) == 1]
    params = _telling(runs)
    alike = [each for each in params if len({_param(run, *each) for run in runs}) == 1 and len(runs) > 1]
    differing = [each for each in params if each not in alike]
    own, others = (differing, []) if len(differing) <= _MOST_COLUMNS else ([], differing)
    common = [f"{each} {_input(runs[0], each, runs)}" for each in inputs if each not in varying]
    common += [_param(runs[0], *each) for each in alike]
    main = figures.main(runs)
    every = {(step, param) for run in runs for step, facts in run.asked.steps.items() for param in facts.params}
    count = Counter(param for _, param in every)
    columns = [
        Column("run", whole=True),
        Column("state"),
        *(Column(each) for each in varying),
        *(Column(param if count[param] == 1 else f"{step}.{param}") for step, param in own),
        Column("parameters"),
        *(Column(words.shown(figure.replace("_", " ")), number=True) for _, figure in main),
    ]
    rows: list[list[Cell]] = [
        [
            run.name,
            state(run),
            *(_input(run, each, runs) for each in varying),
            *(_param(run, *each).partition(" ")[2] or "-" for each in own),
            [text for each in others if (text := _param(run, *each))],
            *(figure(run, *each) for each in main),
        ]
        for run in runs
    ]
    head = f"{words.shown(name)}: {len(runs)} {'runs' if len(runs) > 1 else 'run'}"
    head += f", all with {words.listed(common)}" if common else ""
    return [head, *table.lines(columns, rows), *meanings(rows)]


def meanings(rows: Sequence[Sequence[Cell]]) -> list[str]:
    """What the marks at the figures of a table mean, a line each."""
    figures = [cell for row in rows for cell in row if isinstance(cell, str) and _FIGURE.fullmatch(cell)]
    return [text for mark, text in _MEANINGS.items() if any(cell.endswith(mark) for cell in figures)]


def state(run: Past) -> Cell:
    """How a run ended, and when: `done`, `2026-01-31 13:00`."""
    asked = run.asked
    held = holder(run.folder) if run.folder else None
    time = records.local_time(asked.started if held is not None else asked.ended or asked.started)[:16]
    if held is not None:
        return ["running since", time]
    if asked.status == "running":
        return ["was killed", time]
    return [ending(run), time]


def ending(run: Past) -> str:
    """How a run that is over ended: `done`, `stopped at train`."""
    asked = run.asked
    at = next((step for step, facts in asked.steps.items() if facts.status == asked.status), "")
    return _STATES.get(asked.status, asked.status) + (f" at {at}" if at and asked.status != "done" else "")


def figure(run: Past, step: str, name: str) -> str:
    """A figure of a run; "-" if there is none. Marked if it is not, or perhaps not, the result of the run today."""
    values = run.metrics(step)
    if name not in values:
        return "-"
    doubt = run.doubt(step)
    return words.number(values[name]) + ("" if doubt is None else _OLD if doubt.certain else _UNSURE)


def _telling(runs: Sequence[Past]) -> list[tuple[str, str]]:
    """The parameters that say what is special about runs of one pipeline: step and parameter.

    They are those in which the runs differ, and those that were set on the command line.
    """
    found = []
    for step in dict.fromkeys(step for run in runs for step in run.asked.steps):
        asked = [run.asked.steps[step].params for run in runs if step in run.asked.steps]
        for name in dict.fromkeys(name for params in asked for name in params):
            values = {json.dumps(params[name], sort_keys=True) for params in asked if name in params}
            if len(values) > 1 or any((step, name) in run.set_by_hand() for run in runs):
                found.append((step, name))
    return found


def _param(run: Past, step: str, name: str) -> str:
    """`train.max_steps 50`; "" if the run has no such parameter."""
    params = run.asked.steps[step].params if step in run.asked.steps else {}
    return f"{step}.{name} {value(params[name])}" if name in params else ""


def value(of: Any) -> str:
    """A parameter's value, as `--set` takes it."""
    text = of if isinstance(of, str) and of else json.dumps(of, ensure_ascii=False)
    return words.cut(text, _LONGEST_VALUE)


def _input(run: Past, name: str, among: Sequence[Past]) -> str:
    """The path of an input, with a part of its hash where other runs have read something else from the same path."""
    if name not in run.asked.inputs:
        return "-"
    asked = run.asked.inputs[name]
    all_of_them = [each.asked.inputs[name] for each in among if name in each.asked.inputs]
    contents = {each.content for each in all_of_them if each.path == asked.path}
    return path(asked.path) + (f" (content {(asked.content or '?')[:8]})" if len(contents) > 1 else "")


def path(of: str) -> str:
    """The path of an input, seen from the current folder where it is below it."""
    file, dataset = split_dataset(of)
    relative = words.here(Path(file)) if os.path.isabs(file) else file
    return relative if dataset is None else f"{relative}:{dataset}"
