"""Compares two runs: what they were asked for, what decided their results, and how the figures moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floodrunner.runner import words, wsl
from floodrunner.runner.execution import folders, outdated
from floodrunner.runner.terminal import figures, runs, table
from floodrunner.runner.terminal.table import Column
from floodrunner.runner.workdir.names import RUN_FILE
from floodrunner.runner.workdir.past import Past
from floodrunner.runner.workdir.records import Mark

_MOST_FILES = 3
_MACHINE = ("name", "cpu", "gpus")


@dataclass(frozen=True)
class Difference:
    """Something in which two runs differ.

    Attributes:
      what: in words, from the first run to the second.
      step: the step that it is about; "" if it is about the whole run.
    """

    what: str
    step: str = ""


def find(target: str) -> Past:
    """The run that a user means: a run folder, its `run.json`, or what else `status` takes. Raises UserError."""
    path = Path(wsl.here(target))
    return outdated.read(path if path.suffix == ".json" else folders.find(target)[0] / RUN_FILE)


def report(a: Past, b: Past) -> list[str]:
    """Lines that say in what two runs differ, and how their figures moved."""
    lines = table.lines(
        [Column("", whole=True), Column("run"), Column("pipeline"), Column("state")],
        [[mark, run.name, run.asked.pipeline.name, runs.state(run)] for mark, run in (("A", a), ("B", b))],
    )
    if a.asked.pipeline.name != b.asked.pipeline.name:
        lines.append("These are different pipelines; steps of the same name and stage are compared.")
    common = [step for step in a.asked.steps if step in b.asked.steps]
    found = differences(a, b)
    lines += ["", "What differs, A -> B:" if found else "Nothing differs in inputs, parameters, code and libraries."]
    lines += in_words(found, common)
    same = identical(a, b)
    lines += ["", same] if same else []
    if doubts := [f"  {mark} {step}: {doubt}" for mark, run in (("A", a), ("B", b)) for step, doubt in _doubts(run)]:
        lines += ["", "Out of date:", *doubts]
    return [*lines, "", *moved(a, b, ("A", "B"))]


def identical(a: Past, b: Past) -> str:
    """A line that names the steps whose outputs are the same in both runs; "" if there is none.

    Results that are out of date do not count.
    """
    certain = [step for step in a.asked.steps if step in b.asked.steps and not (a.doubt(step) or b.doubt(step))]
    same = [step for step in certain if a.outputs(step) and a.outputs(step) == b.outputs(step)]
    whole = len(same) == len(a.asked.steps) == len(b.asked.steps) > 1
    return f"The same results, byte for byte: {'all steps' if whole else words.listed(same)}" if same else ""


def _doubts(run: Past) -> list[tuple[str, Mark]]:
    return [(step, doubt) for step in run.asked.steps if run.metrics(step) and (doubt := run.doubt(step))]


def differences(a: Past, b: Past) -> list[Difference]:
    """Lists everything that may be the reason for another result: inputs, then step by step, then the machine."""
    found = _inputs(a, b)
    for run, other, mark in ((a, b, "A"), (b, a, "B")):
        found += [Difference(f"is in {mark} only", step) for step in run.asked.steps if step not in other.asked.steps]
    for step in a.asked.steps:
        if step in b.asked.steps:
            found += [Difference(what, step) for what in _of_step(a, b, step)]
    if not (a.records and b.records):
        both = a.asked.code.keys() & b.asked.code.keys()
        codes = ({file: run.asked.code[file] for file in both} for run in (a, b))
        found += [Difference(what) for what in code(*codes)]
    before, now = ([run.asked.host.get(name) for name in _MACHINE] for run in (a, b))
    if before != now and a.asked.host and b.asked.host:
        found.append(Difference(f"machine {_machine(a)} -> {_machine(b)}"))
    return found


def in_words(found: Sequence[Difference], steps: Sequence[str]) -> list[str]:
    """A line for each difference, with all steps that it concerns. `steps`: those that were compared."""
    grouped: dict[str, list[str]] = {}
    for each in found:
        grouped.setdefault(each.what, []).extend([each.step] if each.step else [])
    lines = []
    for what, where in grouped.items():
        names = f"all {len(steps)} steps" if len(where) == len(steps) > 1 else ", ".join(where)
        lines.append(f"  {names + ': ' if names else ''}{words.shown(what)}")
    return lines


def moved(a: Past, b: Past, titles: tuple[str, str]) -> list[str]:
    """A table of the figures of two runs, step by step, and how each moved."""
    rows = []
    for step in [*a.asked.steps, *(step for step in b.asked.steps if step not in a.asked.steps)]:
        old, new = a.metrics(step), b.metrics(step)
        for name in dict.fromkeys([*old, *new]):
            shown = [runs.figure(run, step, name) for run in (a, b)]
            if name in old and name in new:
                change = figures.change(name, old[name], new[name])
                if not (a.is_finished(step) and b.is_finished(step)):
                    change = "not compared"
                elif shown[0] == shown[1] and change != "unchanged":  # they look alike
                    shown = [str(values[name]) for values in (old, new)]
            else:
                change = f"in {titles[0] if name in old else titles[1]} only"
            rows.append([step, name.replace("_", " "), *shown, change])
    if not rows:
        return ["Neither run has figures."]
    columns = [Column("step", whole=True), Column("figure"), *(Column(title, number=True) for title in titles)]
    return [*table.lines([*columns, Column("change")], rows), *runs.meanings(rows)]


def _inputs(a: Past, b: Past) -> list[Difference]:
    found = []
    for name in dict.fromkeys([*a.asked.inputs, *b.asked.inputs]):
        old, new = a.asked.inputs.get(name), b.asked.inputs.get(name)
        if old is None or new is None:
            mark, there = ("A", old) if old else ("B", new)
            assert there is not None
            found.append(Difference(f"input {name} is in {mark} only: {runs.path(there.path)}"))
        elif old != new:
            same = "the same content then" if old.content == new.content else "other content"
            paths = list(dict.fromkeys([runs.path(old.path), runs.path(new.path)]))
            found.append(Difference(f"input {name}: {' -> '.join(paths)} ({same})"))
    return found


def _of_step(a: Past, b: Past, step: str) -> list[str]:
    old, new = a.parts(step), b.parts(step)
    if old.stage != new.stage:
        return [f"stage {old.stage} -> {new.stage}"]
    found = [
        f"{name} {_value(old.params, name)} -> {_value(new.params, name)}"
        for name in dict.fromkeys([*old.params, *new.params])
        if _value(old.params, name) != _value(new.params, name)
    ]
    if old.gpu != new.gpu:
        found.append(f"gpu: {runs.value(old.gpu)} -> {runs.value(new.gpu)}")
    if step in a.records and step in b.records:
        found += code(old.code, new.code) if a.is_finished(step) and b.is_finished(step) else []
        if a.records[step].engine != b.records[step].engine:
            found.append(f"engine {a.records[step].engine} -> {b.records[step].engine}")
    elif a.asked.engine.name != b.asked.engine.name:
        found.append(f"engine {a.asked.engine.name} -> {b.asked.engine.name}")
    return [*found, *libraries(old.engine, new.engine), *_sources(a, b, step)]


def libraries(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The versions that differ, or what else identifies an engine."""
    return [
        f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _sources(a: Past, b: Past, step: str) -> list[str]:
    """How the connections of a step differ. Another content from the same earlier step is said, for that is why."""
    old, new = a.asked.steps[step].sources, b.asked.steps[step].sources
    found = []
    for port in dict.fromkeys([*old, *new]):
        if old.get(port) != new.get(port):
            found.append(f"in {port}: {old.get(port, 'not connected')} -> {new.get(port, 'not connected')}")
    return found


def code(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The source files that differ; of many, the first."""
    files = [file for file in sorted({*old, *new}) if old.get(file) != new.get(file)]
    more = [f"{len(files) - _MOST_FILES} more"] if len(files) > _MOST_FILES else []
    return [f"code: {' and '.join([', '.join(files[:_MOST_FILES]), *more])}"] if files else []


def _value(params: dict[str, Any], name: str) -> str:
    return runs.value(params[name]) if name in params else "(no such parameter)"


def _machine(run: Past) -> str:
    host = run.asked.host
    gpus = host.get("gpus")
    parts = [host.get("cpu"), *(gpus if isinstance(gpus, list) else [])]
    return f"{host.get('name')} ({', '.join(str(part) for part in parts if part)})"
