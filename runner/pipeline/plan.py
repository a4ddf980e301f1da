"""Turns a pipeline and the options of the command line into a plan of immutable steps.

Everything that can be refused before a step starts is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contract.job import PARTIAL
from contract.ports import port_file
from contract.stage import StageParams
from runner.engines.base import Job
from runner.errors import UserError, suggest
from runner.pipeline import explain
from runner.pipeline.inputs import input_path
from runner.pipeline.options import Options, given_inputs, settings
from runner.pipeline.registry import Registry, Stage
from runner.pipeline.spec import Pipeline, StepSpec
from runner.pipeline.yamlfile import Document, YamlPath
from runner.step_options import StepOptions
from runner.words import quoted

FORCED, FROM = "forced", "from"
_BESIDE = ("stage", "in", *StepOptions.model_fields)
"""Keys of a step that stand beside `params`; users may write such a key inside `params` by mistake."""


@dataclass(frozen=True)
class Step:
    """A step whose ports and parameters are checked.

    Attributes:
      params: all parameters of the stage, defaults filled in, in the types of JSON.
      sources: port -> `inputs.<name>` or `<step>.<port>`, for the ports that are connected.
      again: why the step runs even if nothing has changed: FORCED, FROM or "".
    """

    id: str
    stage: Stage
    params: dict[str, Any]
    sources: dict[str, str]
    options: StepOptions
    again: str = ""


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Attributes:
      workdir: the run folder, absolute.
      inputs: name -> absolute path, with its dataset if one was named; only inputs that a step uses.
      steps: in the order in which they run.
    """

    name: str
    workdir: Path
    inputs: dict[str, str]
    steps: tuple[Step, ...]

    def folder(self, step: str) -> Path:
        """The folder of a step, by its id."""
        return self.workdir / step

    def job(self, step: Step, program: str = "", fingerprint: str = "") -> Job:
        """The job of a step. Its outputs go to `partial/`; the runner publishes them from there.

        Args:
          program: hash of code and engine, from `Parts.program`.
          fingerprint: hash of everything that decides the result, from `Parts.fingerprint`.
        """
        folder = self.folder(step.id)
        return Job(
            step=step.id,
            stage=step.stage.name,
            params=step.params,
            inputs={port: self._path(source) for port, source in step.sources.items()},
            outputs={port: str(folder / PARTIAL / port_file(port, kind)) for port, kind in step.stage.outputs.items()},
            folder=folder,
            options=step.options,
            program=program,
            fingerprint=fingerprint,
        )

    def _path(self, source: str) -> str:
        owner, port = source.split(".")
        if owner == "inputs":
            return self.inputs[port]
        kind = next(step for step in self.steps if step.id == owner).stage.outputs[port]
        return str(self.folder(owner) / port_file(port, kind))


def make(pipeline: Pipeline, registry: Registry, workdir: Path, options: Options | None = None) -> Plan:
    """Plans a run, and checks everything that can be checked before a step starts.

    Reads only the stages' headers, and checks whether the inputs exist.

    Args:
      workdir: the run folder.

    Raises:
      UserError: if anything is wrong. The message names file and line, or the option; what was found; what to write.
    """
    options = options or Options()
    steps = pipeline.spec.steps
    given, sets = given_inputs(options, pipeline), settings(options, steps)
    for option, names in (("--force", options.force), ("--from", [options.start] if options.start else [])):
        for name in names:
            if name not in steps:
                raise UserError(f"{option} {name}: there is no step {name!r}; {suggest(name, steps)}")
    planned: dict[str, Step] = {}
    started = False
    for id, spec in steps.items():
        started = started or id == options.start
        stage = _stage(id, pipeline, registry, planned)
        sources = _sources(id, spec, stage, pipeline, planned)
        params = _params(id, spec, stage, pipeline, sets.get(id, {}))
        try:
            params.check_ports(sources)
        except ValueError as error:
            raise UserError(f"{pipeline.document.at(('steps', id))}: step {id}: {error}") from None
        planned[id] = Step(
            id=id,
            stage=stage,
            sources=sources,
            params=params.model_dump(mode="json", by_alias=True),
            options=spec.options(),
            again=FORCED if id in options.force else FROM if started else "",
        )
    used = {source.split(".")[1] for step in planned.values() for source in step.sources.values() if _is_input(source)}
    paths = {
        name: input_path(name, pipeline, given.get(name), workdir) for name in pipeline.spec.inputs if name in used
    }
    return Plan(pipeline.spec.name, workdir.absolute(), paths, tuple(planned.values()))


def _is_input(source: str) -> bool:
    return source.startswith("inputs.")


def _stage(id: str, pipeline: Pipeline, registry: Registry, earlier: dict[str, Step]) -> Stage:
    """The stage of a step. If several share the name, the kinds of the connected ports decide which one is meant."""
    spec = pipeline.spec.steps[id]
    where = f"{pipeline.document.at(('steps', id, 'stage'))}: step {id}"
    try:
        candidates = registry.candidates(spec.stage)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if len(candidates) == 1:
        return candidates[0]
    kinds = {port: _kind_of(source, earlier) for port, source in spec.inputs.items()}
    known = {port: kind for port, kind in kinds.items() if kind and any(port in each.inputs for each in candidates)}
    fitting = [
        stage
        for stage in candidates
        if all(port in stage.inputs and kind in stage.inputs[port].kinds for port, kind in known.items())
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = " or ".join(f"stage: {stage.name}" for stage in candidates)
    if not fitting:
        found = " and ".join(f"{spec.inputs[port]} of kind {kind!r}" for port, kind in known.items())
        raise UserError(f"{where}: no stage {spec.stage} takes {found}; connect ports that fit {names}")
    if known or all(source.startswith("inputs.") for source in spec.inputs.values()):
        raise UserError(f"{where}: the connected ports do not tell which stage {spec.stage} means; write {names}")
    return fitting[0]  # `in` has a mistake, which `_sources` refuses


def _kind_of(source: str, earlier: dict[str, Step]) -> str | None:
    """The kind of `<step>.<port>`; None for an input of the pipeline, and for a port that does not exist."""
    owner, _, port = source.partition(".")
    return earlier[owner].stage.outputs.get(port) if owner in earlier else None


def _sources(id: str, spec: StepSpec, stage: Stage, pipeline: Pipeline, earlier: dict[str, Step]) -> dict[str, str]:
    for port, source in spec.inputs.items():
        where = f"{pipeline.document.at(('steps', id, 'in', port))}: step {id}: {explain.dotted(('in', port))}"
        if port not in stage.inputs:
            raise UserError(
                f"{where}: stage {stage.name} has no input port {quoted(port)}; {suggest(port, stage.inputs)}"
            )
        if source.partition(".")[0] == id:
            raise UserError(f"{where}: a step cannot read its own output; connect the output of an earlier step")
        _check_source(where, source, stage.inputs[port].kinds, pipeline, earlier)
    for port, kinds in stage.inputs.items():
        if port not in spec.inputs and not kinds.optional:
            fitting = _fitting(kinds.kinds, earlier)
            example = f", such as {fitting[-1]}" if fitting else f" of kind {' or '.join(kinds.kinds)}"
            raise UserError(
                f"{pipeline.document.at(('steps', id))}: step {id}: input port {port!r} of stage {stage.name} is not "
                f"connected; write {port}: inputs.<name> or <earlier step>.<port> under 'in'{example}"
            )
    return dict(spec.inputs)


def _check_source(
    where: str, source: str, kinds: tuple[str, ...], pipeline: Pipeline, earlier: dict[str, Step]
) -> None:
    owner, _, port = source.partition(".")
    inputs, steps = pipeline.spec.inputs, pipeline.spec.steps
    if not re.fullmatch(r"[^.\s]+\.[^.\s]+", source):
        known = [f"inputs.{name}" for name in inputs] + _fitting(kinds, earlier)
        known = [each for each in known if each.startswith(f"{owner}.")] or known
        raise UserError(
            f"{where}: found {quoted(source)}; write inputs.<name> or <earlier step>.<port>; {suggest(source, known)}"
        )
    if owner == "inputs":
        if port not in inputs:
            raise UserError(f"{where}: the pipeline has no input {quoted(port)}; {suggest(port, inputs)}")
        return
    if owner not in earlier:
        if owner in steps:
            raise UserError(f"{where}: step {owner!r} comes later; move that step up: steps run in the order written")
        raise UserError(f"{where}: there is no step {quoted(owner)}; {suggest(owner, [*earlier, 'inputs'])}")
    outputs = earlier[owner].stage.outputs
    if port not in outputs:
        raise UserError(f"{where}: step {owner!r} has no output {quoted(port)}; {suggest(port, outputs)}")
    if outputs[port] not in kinds:
        fitting = _fitting(kinds, earlier)
        instead = f"connect {' or '.join(fitting)}" if fitting else "no earlier step makes that kind: add such a step"
        raise UserError(
            f"{where}: {source} is of kind {outputs[port]!r}, the port takes {' or '.join(map(repr, kinds))}; {instead}"
        )


def _fitting(kinds: tuple[str, ...], earlier: dict[str, Step]) -> list[str]:
    return [
        f"{step.id}.{port}" for step in earlier.values() for port, kind in step.stage.outputs.items() if kind in kinds
    ]


def _params(id: str, spec: StepSpec, stage: Stage, pipeline: Pipeline, sets: dict[str, Document]) -> StageParams:
    known = [field.alias or name for name, field in stage.params.model_fields.items()]
    params = {**spec.params, **{name: document.value for name, document in sets.items()}}
    for name in params:
        if name not in known:
            where = _param_place(id, (name,), pipeline, sets)
            if new := stage.params.RENAMED.get(name):
                raise UserError(f"{where}: {name} was renamed; write {new}")
            instead = f"{name} is written beside params, not inside" if name in _BESIDE else suggest(name, known)
            raise UserError(f"{where}: unknown parameter {quoted(name)} of stage {stage.name}; {instead}")
    texts: dict[YamlPath, str] = {}
    for path, text in pipeline.document.texts.items():
        if path[:3] == ("steps", id, "params") and path[3] not in sets:
            texts[path[3:]] = text
    for name, document in sets.items():
        texts.update({(name, *path): text for path, text in document.texts.items()})
    try:
        return stage.params.parse(params)
    except ValidationError as error:
        path, text = explain.problem(error, params, stage.params, texts)
        where = _param_place(id, path, pipeline, sets)
        raise UserError(f"{where}: {f'{explain.dotted(path)}: ' if path else ''}{text}") from None
    except ValueError as error:  # json.dumps refuses text that is not Unicode
        raise UserError(f"{_param_place(id, (), pipeline, sets)}: {error}; write plain Unicode text") from None


def _param_place(id: str, path: YamlPath, pipeline: Pipeline, sets: dict[str, Document]) -> str:
    if path and path[0] in sets:
        return sets[str(path[0])].source
    return f"{pipeline.document.at(('steps', id, 'params', *path))}: step {id}"
