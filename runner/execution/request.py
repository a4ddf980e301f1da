"""What the user asks `run` or `plan` for, and how it becomes a plan with an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from floodrunner.runner import engines
from floodrunner.runner.errors import UserError
from floodrunner.runner.execution import folders
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.pipeline import plan as planning
from floodrunner.runner.pipeline import registry, shipped
from floodrunner.runner.pipeline.options import Options, given_inputs
from floodrunner.runner.pipeline.registry import Registry
from floodrunner.runner.pipeline.spec import Pipeline
from floodrunner.runner.workdir import records


@dataclass(frozen=True)
class Request:
    """The argument and the options of `run` and `plan`.

    Attributes:
      pipeline: the pipeline file or the name of a shipped pipeline, as the user wrote it.
      engine: `auto`, or the name of an engine.
      workdir: the run folder; None: the default of the pipeline and its inputs.
      replace: whether results of other data in the run folder may be overwritten.
    """

    pipeline: str
    options: Options = field(default_factory=Options)
    engine: str = "auto"
    workdir: Path | None = None
    replace: bool = False


def setting(request: Request, command: Sequence[str]) -> Setting:
    """Reads the pipeline, plans its run, and chooses the engine. Starts nothing and writes nothing.

    Args:
      command: the command line, for the record of the run.

    Raises:
      UserError: if anything is wrong that can be seen before a step starts.
    """
    return prepared(shipped.load(request.pipeline), registry.scan(), request, command)


def prepared(pipeline: Pipeline, known: Registry, request: Request, command: Sequence[str]) -> Setting:
    """Plans the run of a pipeline that has been read, and chooses the engine. `request.pipeline` does not count.

    Raises:
      UserError: like `setting`.
    """
    if request.engine not in ("auto", *engines.NAMES):
        raise UserError(f"--engine {request.engine}: unknown engine; choose one of auto, {', '.join(engines.NAMES)}")
    folder = request.workdir or folders.default(pipeline.spec, given_inputs(request.options, pipeline))
    planned = planning.make(pipeline, known, folder, request.options)
    former = records.former_engine(planned.workdir, [step.id for step in planned.steps])
    jobs = [planned.job(step) for step in planned.steps]
    name, chosen, reason = engines.choose(request.engine, jobs, known.root, former)
    return Setting(pipeline, planned, name, chosen, reason, known.root, [*command], request.replace)
