"""Does again what a run of the past has recorded: its pipeline, its parameters, the same inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from floodrunner.contract.ports import split_dataset
from floodrunner.runner import engines, words
from floodrunner.runner.errors import Collected, UserError
from floodrunner.runner.execution import compare, folders, outdated, skip
from floodrunner.runner.execution.compare import Difference
from floodrunner.runner.execution.request import Request, prepared
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.execution.skip import Contents
from floodrunner.runner.fingerprint.content import Cache
from floodrunner.runner.pipeline import registry, spec, yamlfile
from floodrunner.runner.pipeline.options import Options, given_inputs
from floodrunner.runner.pipeline.registry import Registry
from floodrunner.runner.pipeline.spec import Pipeline
from floodrunner.runner.terminal import runs
from floodrunner.runner.workdir import past, records
from floodrunner.runner.workdir.names import HASHES_FILE, RUN_FILE
from floodrunner.runner.workdir.past import Past


@dataclass(frozen=True)
class Repetition:
    """A run of the past, what has to be done to do it again, and what is no longer the same."""

    former: Past
    setting: Setting
    changes: tuple[Difference, ...]

    def lines(self) -> list[str]:
        """What a user should know before the run starts."""
        when = records.local_time(self.former.asked.started)
        head = f"{self.former.name} of {when}, again in {words.here(self.setting.plan.workdir)}"
        if not self.changes:
            return [f"{head}: inputs, parameters, code and libraries are the same"]
        steps = [step.id for step in self.setting.plan.steps]
        same = "Inputs and parameters are the same. Not the same, then -> now:"
        return [head, same, *compare.in_words(self.changes, steps)]

    def compared(self, ran: Sequence[str]) -> list[str]:
        """The figures of both runs. `ran`: the steps that were not skipped."""
        if not ran:
            return ["", "Nothing ran: this folder held the results already, so there is nothing to compare."]
        now = outdated.read(self.setting.plan.workdir / RUN_FILE)
        same = compare.identical(self.former, now)
        return ["", *([same] if same else []), *compare.moved(self.former, now, ("then", "now"))]


def prepare(target: str, request: Request, command: Sequence[str]) -> Repetition:
    """Plans a run that does the same again, in a new run folder. Starts nothing and writes nothing.

    Args:
      target: a run folder, its `run.json`, or what else `status` takes.
      request: may say where an input is now, the run folder and the engine.

    Raises:
      UserErrors: all that prevents the same run: an input that is missing or has other content, a stage or a parameter
        that is no longer there.
    """
    former = compare.find(target)
    _check_is_other(former, request)
    pipeline, known = _pipeline(former), registry.scan()
    given = given_inputs(request.options, pipeline)
    wrong = Collected()
    for step in former.asked.steps:
        with wrong.check():
            _check_step(former, step, known)
    inputs = {name: given.get(name, asked.path) for name, asked in former.asked.inputs.items()}
    for name, path in inputs.items():
        with wrong.check():
            _check_is_there(former, name, path, name in given)
    wrong.close()
    options = Options([f"{name}={path}" for name, path in inputs.items()], _sets(former))
    one = replace(request, options=options, workdir=request.workdir or _free(former))
    setting = prepared(pipeline, known, one, command)
    if request.engine == "auto" and (engine := _same_engine(former, setting)):
        setting = prepared(pipeline, known, replace(one, engine=engine), command)
    contents = Contents(setting.plan, Cache(setting.plan.workdir / HASHES_FILE))
    for name in inputs:
        with wrong.check():
            _check_content(former, name, name in given, contents)
    wrong.close()
    setting = replace(setting, hashes=contents.cache.used())
    return Repetition(former, setting, tuple(_changes(former, setting, contents)))


def _check_is_other(former: Past, request: Request) -> None:
    folder = request.workdir
    if former.folder and folder and os.path.realpath(former.folder) == os.path.realpath(folder):
        raise UserError(
            f"--workdir {words.here(folder)}: is the run that is to be done again, which would be compared with "
            "itself; name another folder, or leave --workdir out"
        )


def _pipeline(former: Past) -> Pipeline:
    """The pipeline as it was, not as its file is today."""
    asked = former.asked.pipeline
    try:
        return spec.read(yamlfile.parse(asked.text.encode(errors="surrogateescape"), asked.file or asked.name))
    except UserError as error:
        raise UserError(f"{former.name}: the recorded pipeline is not understood any more: {error}") from None


def _check_step(former: Past, step: str, known: Registry) -> None:
    asked = former.asked.steps[step]
    where = f"{former.name}: step {step}"
    try:
        stage = known.get(asked.stage)
    except UserError as error:
        raise UserError(f"{where}: {error}; this version cannot do the same") from None
    fields = stage.params.model_fields
    now = {each.alias or name for name, each in fields.items()} | set(fields)
    if gone := [name for name in asked.params if name not in now]:
        raise UserError(
            f"{where}: stage {asked.stage} no longer has the parameter {words.listed(gone)}; this version cannot do "
            "the same"
        )


def _check_is_there(former: Past, name: str, path: str, is_given: bool) -> None:
    file = os.path.expanduser(split_dataset(path)[0])
    if not os.path.exists(file):
        was = "" if is_given else "no longer "
        raise UserError(
            f"{former.name}: input {name}: {runs.path(path)} is {was or 'not '}there; say where it is with --input "
            f"{name}=PATH"
        )


def _check_content(former: Past, name: str, is_given: bool, contents: Contents) -> None:
    then = former.asked.inputs[name].content
    if name in contents.plan.inputs and contents.of(f"inputs.{name}") != then:
        path, when = runs.path(contents.plan.inputs[name]), records.local_time(former.asked.started)
        what = f"is not what that run read on {when}" if is_given else f"has changed since {when}"
        raise UserError(f"{former.name}: input {name}: {path} {what}; say where the same is with --input {name}=PATH")


def _sets(former: Past) -> list[str]:
    """All parameters, as `--set` takes them: other values may be the default today."""
    return [
        f"{step}.{name}={json.dumps(value, ensure_ascii=False)}"
        for step, asked in former.asked.steps.items()
        for name, value in asked.params.items()
    ]


def _same_engine(former: Past, setting: Setting) -> str:
    """The engine of the run of the past, if it can do this; else ""."""
    name, jobs = former.asked.engine.name, [setting.plan.job(step) for step in setting.plan.steps]
    if name not in engines.NAMES or name == setting.engine_name:
        return ""
    return "" if engines.load(name).unavailable(jobs, setting.root) else name


def _changes(former: Past, setting: Setting, contents: Contents) -> list[Difference]:
    """What is not the same, and is no reason to stop: code, libraries, the engine, parameters that are new."""
    found = []
    if former.asked.engine.name != setting.engine_name:
        reason = f" ({setting.engine_reason})" if setting.engine_reason else ""
        found.append(Difference(f"engine {former.asked.engine.name} -> {setting.engine_name}{reason}"))
    for step in setting.plan.steps:
        if step.id not in former.asked.steps:
            continue
        old = former.parts(step.id)
        new = skip.parts(step, contents, setting.engine.identity(step.options.gpu), setting.root)
        recorded = step.id in former.records and former.is_finished(step.id)
        files = old.code if recorded else {file: old.code[file] for file in new.code if file in old.code}
        lines = compare.code(files, new.code if files else {})
        lines += compare.libraries(old.engine, new.engine)
        lines += [f"{name} is a new parameter" for name in step.params if name not in old.params]
        found += [Difference(line, step.id) for line in lines]
    return found


def _free(former: Past) -> Path:
    """A new run folder: beside the former one, if that is below the current folder, else in `runs/`.

    A folder in which the same was begun and not finished is taken again.
    """
    if former.folder is None:
        top, name = folders.RUNS, former.asked.pipeline.name
    else:
        own = former.folder.absolute()
        top, name = own.parent if own.is_relative_to(Path.cwd()) and own != Path.cwd() else folders.RUNS, own.name
    number = 1
    while os.path.lexists(folder := top / (f"{name}-again" + (f"-{number}" if number > 1 else ""))):
        if _is_unfinished(folder, former):
            break
        number += 1
    return folder


def _is_unfinished(folder: Path, former: Past) -> bool:
    try:
        begun = past.read(folder / RUN_FILE).asked
    except UserError:
        return False
    then = former.asked

    def what(asked: past.Asked) -> list[object]:
        contents = {name: each.content for name, each in asked.inputs.items()}
        return [asked.pipeline.text, contents, {step: each.params for step, each in asked.steps.items()}]

    return begun.status != "done" and what(begun) == what(then)
