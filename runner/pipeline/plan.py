"""Turns a pipeline and the options of the command line into a plan of immutable steps.

Everything that can be refused before a step starts is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floodrunner.contract.job import PARTIAL
from floodrunner.contract.ports import port_file
from floodrunner.runner.engines.base import Job
from floodrunner.runner.errors import Collected, UserError, suggest
from floodrunner.runner.pipeline.connections import check_sources, stage_of
from floodrunner.runner.pipeline.inputs import input_path
from floodrunner.runner.pipeline.options import Options, given_inputs, settings
from floodrunner.runner.pipeline.parameters import params_of
from floodrunner.runner.pipeline.registry import Registry, Stage
from floodrunner.runner.pipeline.spec import Pipeline
from floodrunner.runner.pipeline.yamlfile import Document
from floodrunner.runner.step_options import StepOptions

FORCED, FROM = "forced", "from"


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
            inputs={port: self.path(source) for port, source in step.sources.items()},
            outputs={port: str(folder / PARTIAL / port_file(port, kind)) for port, kind in step.stage.outputs.items()},
            folder=folder,
            options=step.options,
            program=program,
            fingerprint=fingerprint,
        )

    def path(self, source: str) -> str:
        """The path of `inputs.<name>` or `<step>.<port>`."""
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
    options, wrong = options or Options(), Collected()
    steps = pipeline.spec.steps
    given: dict[str, str] = {}
    sets: dict[str, dict[str, Document]] = {}
    with wrong.check():
        given = given_inputs(options, pipeline)
    with wrong.check():
        sets = settings(options, steps)
    for option, names in (("--force", options.force), ("--from", [options.start] if options.start else [])):
        for name in names:
            with wrong.check():
                if name not in steps:
                    raise UserError(f"{option} {name}: there is no step {name!r}; {suggest(name, steps)}")
    wrong.close()  # the checks below would repeat what is wrong with the options
    planned: dict[str, Step] = {}
    stages: dict[str, Stage] = {}
    unknown: set[str] = set()
    started = False
    for id in steps:
        started = started or id == options.start
        again = FORCED if id in options.force else FROM if started else ""
        stage = None
        with wrong.check():
            stage = stage_of(id, pipeline, registry, stages, unknown)
        if stage is None:
            unknown.add(id)
            continue
        with wrong.check():
            check_sources(id, steps[id], stage, pipeline, stages, unknown)
        params: dict[str, Any] = {}
        with wrong.check():
            params = _params(id, stage, pipeline, sets.get(id, {}))
        stages[id] = stage
        planned[id] = Step(id, stage, params, dict(steps[id].inputs), steps[id].options(), again)
    used = {source for step in planned.values() for source in step.sources.values()}
    paths: dict[str, str] = {}
    for name in pipeline.spec.inputs:
        if f"inputs.{name}" in used:
            with wrong.check():
                paths[name] = input_path(name, pipeline, given.get(name), workdir)
    wrong.close()
    return Plan(pipeline.spec.name, workdir.absolute(), paths, tuple(planned.values()))


def _params(id: str, stage: Stage, pipeline: Pipeline, sets: dict[str, Document]) -> dict[str, Any]:
    """All parameters of a step, defaults filled in, in the types of JSON."""
    spec = pipeline.spec.steps[id]
    parsed = params_of(id, spec, stage, pipeline, sets)
    try:
        parsed.check_ports(spec.inputs)
    except ValueError as error:
        raise UserError(f"{pipeline.document.at(('steps', id))}: step {id}: {error}") from None
    return parsed.model_dump(mode="json", by_alias=True)
