"""Runs a pipeline for many inputs, each in a run folder of its own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from floodrunner.contract.codes import BAD_INPUT, DONE, FAILED, INTERRUPTED
from floodrunner.contract.ports import split_dataset
from floodrunner.runner import words
from floodrunner.runner.errors import Collected, Interrupted, StepFailed, UserError
from floodrunner.runner.execution import belonging, folders, looking, naming, outdated, skip
from floodrunner.runner.execution import run as running
from floodrunner.runner.execution.request import Request, prepared
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.execution.skip import Contents, Decision
from floodrunner.runner.fingerprint.content import Cache, Entries
from floodrunner.runner.pipeline import patterns, registry, shipped
from floodrunner.runner.pipeline.options import given_inputs
from floodrunner.runner.pipeline.patterns import Fit
from floodrunner.runner.survey.before import Before
from floodrunner.runner.terminal import stacks as shown
from floodrunner.runner.terminal.stacks import Ended
from floodrunner.runner.workdir.names import HASHES_FILE, RUN_FILE

Say = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Stack:
    """One of many: its name, and what has to be done for it.

    Attributes:
      replaced: what `--replace` overwrites; "" if there is nothing to replace.
      decisions: step -> whether it has to run.
      before: what a look at its inputs has found.
    """

    name: str
    setting: Setting
    replaced: str
    decisions: Mapping[str, Decision]
    before: Before


@dataclass(frozen=True)
class Refused:
    """One of many with which something is wrong: its name, its run folder, and what is wrong."""

    name: str
    folder: Path
    trouble: str


@dataclass(frozen=True)
class Stacks:
    """What patterns stand for: the stacks that can run, and the others."""

    good: tuple[Stack, ...]
    refused: tuple[Refused, ...] = ()


def is_for_many(request: Request) -> bool:
    """Whether an input of the request is a pattern."""
    return any(patterns.is_pattern(text.partition("=")[2]) for text in request.options.inputs)


def stacks(request: Request, command: Sequence[str], say: Say) -> Stacks:
    """Plans the run of each stack, and looks at its inputs. Starts nothing and writes nothing.

    The run folders are below `request.workdir`, by default `runs/<pipeline name>`, and are named after the parts of the
    paths that hold wildcards.

    Raises:
      UserErrors: if something is wrong with all stacks; what that is.
    """
    pipeline = shipped.load(request.pipeline)
    given = given_inputs(request.options, pipeline)
    many = {name: path for name, path in given.items() if patterns.is_pattern(path)}
    top, known = request.workdir or folders.RUNS / pipeline.spec.name, registry.scan()
    fits = _named(patterns.fits(many), top, pipeline.spec.run_folder_per)
    say([f"looking at {len(fits)} stacks ..."] if len(fits) > 1 else [])
    good, refused, wrong = [], [], Collected()
    for name, fit in fits.items():
        inputs = [f"{each}={path}" for each, path in {**given, **fit.inputs}.items()]
        one = replace(request, options=replace(request.options, inputs=inputs), workdir=top / name)
        try:
            good.append(_looked(name, prepared(pipeline, known, one, command)))
        except UserError as error:
            refused.append(Refused(name, top / name, "; ".join(str(error).splitlines())))
            with wrong.check():
                raise
    if not good:
        wrong.close()
    return Stacks(tuple(good), tuple(refused))


def _looked(name: str, setting: Setting) -> Stack:
    contents = Contents(setting.plan, Cache(setting.plan.workdir / HASHES_FILE))
    replaced = belonging.check(setting, contents)
    decisions = skip.decisions(setting.plan, setting.engine, setting.root, contents)
    before = looking.look(setting, contents.cache, decisions)
    before.check()
    return Stack(name, setting, replaced, decisions, before)


def run(stacks: Stacks, say: Say) -> None:
    """Runs the stacks one after the other. A failure does not stop the others; a table is shown at the end.

    Raises:
      StepFailed: if any failed; names them.
      Interrupted: if the user stopped the run.
    """
    ended = [Ended(each.name, each.folder, None, each.trouble, BAD_INPUT, None) for each in stacks.refused]
    total = len(stacks.good) + len(ended)
    say([f"{each.name}: does not run: {each.trouble}" for each in stacks.refused])
    hashes = _hashes_of_shared([stack.setting for stack in stacks.good])
    try:
        for number, stack in enumerate(stacks.good, 1):
            say([f"[{number}/{len(stacks.good)}] {stack.name}, in {words.here(stack.setting.plan.workdir)}"])
            _run(stack, hashes, ended)
            say([f"{stack.name}: {ended[-1].trouble}"] if ended[-1].trouble else [])
    finally:
        say(["", *shown.lines(ended)])
        if left := total - sum(each.code != INTERRUPTED for each in ended):
            say([f"{left} of {total} are not done; run again to continue"])
    if failed := [each for each in ended if each.trouble]:
        codes = {each.code for each in failed}
        names = words.listed([each.name for each in failed])
        raise StepFailed(
            codes.pop() if len(codes) == 1 else FAILED,
            f"{len(failed)} of {total} failed: {names}; run again to try these again",
        )


def _hashes_of_shared(settings: Sequence[Setting]) -> Entries:
    """The hashes of the inputs that all stacks share, such as a model, so that these files are read once."""
    plans = [setting.plan for setting in settings]
    contents = Contents(plans[0], Cache(plans[0].workdir / HASHES_FILE))
    for name, path in plans[0].inputs.items():
        if all(plan.inputs.get(name) == path for plan in plans):
            contents.of(f"inputs.{name}")
    return contents.cache.used()


def _run(stack: Stack, hashes: Entries, ended: list[Ended]) -> None:
    """Runs one stack, and adds how it ended. Raises Interrupted if the user stopped the run."""
    started, trouble, code = time.monotonic(), "", DONE
    try:
        running.run(replace(stack.setting, hashes=hashes))
    except StepFailed as error:
        trouble, code = str(error), error.code
    except UserError as error:
        trouble, code = str(error), BAD_INPUT
    except Interrupted:
        code = INTERRUPTED
        raise
    finally:
        folder, record = stack.setting.plan.workdir, None
        with contextlib.suppress(UserError):  # it failed before there was a record
            record = outdated.read(folder / RUN_FILE)
        ended.append(Ended(stack.name, folder, time.monotonic() - started, trouble, code, record))


def _named(found: Sequence[Fit], top: Path, per: str | None) -> dict[str, Fit]:
    """The name of each run folder. Raises UserError if two would be the same."""
    named: dict[str, Fit] = {}
    same: dict[str, str] = {}  # some file systems take `A` for `a`
    for fit in found:
        name = _name(fit, per)
        if (former := same.setdefault(name.lower(), name)) in named:
            paths = [" with ".join(each.inputs.values()) for each in (named[former], fit)]
            raise UserError(
                f"{words.listed(paths)}: the results of both would be in {words.here(top / name)}; write a pattern "
                "that fits one of them, and run the other alone with --workdir"
            )
        named[name] = fit
    return named


def _name(fit: Fit, per: str | None) -> str:
    """The parts of the path that hold wildcards. A folder that is named alone has the same name."""
    name = per if per in fit.inputs else next(iter(fit.inputs))
    path, parts = fit.inputs[name], fit.parts[name]
    if parts and os.path.basename(split_dataset(path)[0]) == parts[-1]:
        parts = (*parts[:-1], naming.name_of(path))
    return naming.fit("-".join(part for part in parts if part).replace("/", "-")) or naming.name_of(path) or "stack"
