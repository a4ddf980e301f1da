"""Runs a pipeline for many inputs, each in a run folder of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from floodrunner.contract.codes import DONE, FAILED
from floodrunner.contract.ports import split_dataset
from floodrunner.runner import words
from floodrunner.runner.errors import Collected, StepFailed, UserError
from floodrunner.runner.execution import belonging, folders, looking, naming
from floodrunner.runner.execution import run as running
from floodrunner.runner.execution.request import Request, prepared
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.execution.skip import Contents
from floodrunner.runner.fingerprint.content import Cache, Entries
from floodrunner.runner.pipeline import patterns, registry, shipped
from floodrunner.runner.pipeline.options import given_inputs
from floodrunner.runner.pipeline.patterns import Fit
from floodrunner.runner.terminal import figures, runs, table
from floodrunner.runner.terminal.table import Column
from floodrunner.runner.workdir import past
from floodrunner.runner.workdir.names import HASHES_FILE, RUN_FILE


@dataclass(frozen=True)
class Stack:
    """One of many: its name, and what has to be done for it."""

    name: str
    setting: Setting


@dataclass(frozen=True)
class _Ended:
    """How the run of one stack ended. `trouble` is "" if it is done; `code` is an exit code."""

    stack: Stack
    seconds: float
    trouble: str = ""
    code: int = DONE


def is_for_many(request: Request) -> bool:
    """Whether an input of the request is a pattern."""
    return any(patterns.is_pattern(text.partition("=")[2]) for text in request.options.inputs)


def stacks(request: Request, command: Sequence[str]) -> list[Stack]:
    """Plans the run of each stack, and looks at its inputs. Starts nothing and writes nothing.

    The run folders are below `request.workdir`, by default `runs/<pipeline name>`, and are named after what the
    wildcards stand for.

    Raises:
      UserErrors: all that is wrong, of all stacks.
    """
    pipeline = shipped.load(request.pipeline)
    given = given_inputs(request.options, pipeline)
    many = {name: path for name, path in given.items() if patterns.is_pattern(path)}
    top, known = request.workdir or folders.RUNS / pipeline.spec.name, registry.scan()
    found: list[Stack] = []
    wrong = Collected()
    for name, fit in _named(patterns.fits(many), top).items():
        inputs = [f"{each}={path}" for each, path in {**given, **fit.inputs}.items()]
        one = replace(request, options=replace(request.options, inputs=inputs), workdir=top / name)
        with wrong.check():
            planned = prepared(pipeline, known, one, command)
            contents = Contents(planned.plan, Cache(planned.plan.workdir / HASHES_FILE))
            belonging.check(planned, contents)
            looking.look(planned, contents.cache).check()
            found.append(Stack(name, planned))
    wrong.close()
    return found


def run(stacks: Sequence[Stack], say: Callable[[Sequence[str]], None]) -> None:
    """Runs the stacks one after the other. A failure does not stop the others; a table is shown at the end.

    Raises:
      StepFailed: if any failed; names them.
      Interrupted: if the user stopped the run.
    """
    ended: list[_Ended] = []
    hashes = _hashes_of_shared([stack.setting for stack in stacks])
    try:
        for number, stack in enumerate(stacks, 1):
            say([f"[{number}/{len(stacks)}] {stack.name}, in {words.here(stack.setting.plan.workdir)}"])
            ended.append(_run(stack, hashes))
            if ended[-1].trouble:
                say([f"{stack.name}: {ended[-1].trouble}"])
    finally:
        say(["", *_table(ended, len(stacks))])
    if failed := [each for each in ended if each.trouble]:
        codes = {each.code for each in failed}
        names = words.listed([each.stack.name for each in failed])
        raise StepFailed(
            codes.pop() if len(codes) == 1 else FAILED,
            f"{len(failed)} of {len(stacks)} failed: {names}; run again to try these again",
        )


def _hashes_of_shared(settings: Sequence[Setting]) -> Entries:
    """The hashes of the inputs that all stacks share, such as a model, so that these files are read once."""
    plans = [setting.plan for setting in settings]
    contents = Contents(plans[0], Cache(plans[0].workdir / HASHES_FILE))
    for name, path in plans[0].inputs.items():
        if all(plan.inputs.get(name) == path for plan in plans):
            contents.of(f"inputs.{name}")
    return contents.cache.used()


def _run(stack: Stack, hashes: Entries) -> _Ended:
    started = time.monotonic()
    try:
        running.run(replace(stack.setting, hashes=hashes))
    except StepFailed as error:
        return _Ended(stack, time.monotonic() - started, str(error), error.code)
    except UserError as error:
        return _Ended(stack, time.monotonic() - started, str(error), 2)
    return _Ended(stack, time.monotonic() - started)


def _table(ended: Sequence[_Ended], total: int) -> list[str]:
    """A row for each stack: its run folder, how it ended, its main figures, the time; below, what went wrong."""
    found = {}
    for each in ended:
        try:
            found[each.stack.name] = past.read(each.stack.setting.plan.workdir / RUN_FILE)
        except UserError:  # it failed before there was a record
            continue
    main = figures.main(list(found.values()))
    titles = [Column(words.shown(name.replace("_", " ")), number=True) for _, name in main]
    rows = [
        [
            words.here(each.stack.setting.plan.workdir),
            "failed" if each.trouble else "done",
            *(runs.figure(found[each.stack.name], *figure) if each.stack.name in found else "-" for figure in main),
            words.duration(each.seconds),
        ]
        for each in ended
    ]
    columns = [Column("run", whole=True), Column("state"), *titles, Column("time", number=True)]
    lines = table.lines(columns, rows) if rows else []
    if any(text.endswith(runs.OLD) for row in rows for text in row[2:-1]):
        lines.append(runs.OLD_MEANS)
    lines += [f"{each.stack.name}: {each.trouble}" for each in ended if each.trouble]
    left = total - len(ended)
    return lines + ([f"{left} of {total} are not done; run again to continue"] if left else [])


def _named(found: Sequence[Fit], top: Path) -> dict[str, Fit]:
    """The name of each run folder. Raises UserError if two would be the same."""
    named: dict[str, Fit] = {}
    same: dict[str, str] = {}  # some file systems take `A` for `a`
    for fit in found:
        name = _name(fit)
        if (former := same.setdefault(name.lower(), name)) in named:
            paths = [" with ".join(each.inputs.values()) for each in (named[former], fit)]
            raise UserError(
                f"{words.listed(paths)}: the results of both would be in {words.here(top / name)}; write a pattern "
                "that fits one of them, and run the other alone with --workdir"
            )
        named[name] = fit
    return named


def _name(fit: Fit) -> str:
    first = split_dataset(next(iter(fit.inputs.values())))[0]
    parts = [part for part in fit.key if part]
    if parts and os.path.isfile(first) and first.endswith(parts[-1]):
        parts[-1] = os.path.splitext(parts[-1])[0]
    return naming.fit("-".join(parts).replace("/", "-")) or naming.name_of(first) or "stack"
