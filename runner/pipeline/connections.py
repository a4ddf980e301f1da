"""Checks the stages that a pipeline names, and the connections of their ports."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from floodrunner.runner.errors import Collected, UserError, suggest
from floodrunner.runner.pipeline import explain
from floodrunner.runner.pipeline.registry import Registry, Stage
from floodrunner.runner.pipeline.spec import Pipeline, StepSpec
from floodrunner.runner.words import quoted


def stage_of(
    id: str, pipeline: Pipeline, registry: Registry, earlier: Mapping[str, Stage], unknown: Collection[str]
) -> Stage | None:
    """The stage of a step. If several share the name, the kinds of the connected ports decide which one is meant.

    Args:
      earlier: the stages of the steps before this one.
      unknown: earlier steps whose stage is not known, so that nothing can be said about their outputs.

    Returns:
      None if it depends on a step that is not known.

    Raises:
      UserError: if there is no such stage, or none that fits.
    """
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
    if any(source.partition(".")[0] in unknown for source in spec.inputs.values()):
        return None
    if known or all(source.startswith("inputs.") for source in spec.inputs.values()):
        raise UserError(f"{where}: the connected ports do not tell which stage {spec.stage} means; write {names}")
    return fitting[0]  # `in` has a mistake, which `_sources` refuses


def _kind_of(source: str, earlier: Mapping[str, Stage]) -> str | None:
    """The kind of `<step>.<port>`; None for an input of the pipeline, and for a port that does not exist."""
    owner, _, port = source.partition(".")
    return earlier[owner].outputs.get(port) if owner in earlier else None


def check_sources(
    id: str, spec: StepSpec, stage: Stage, pipeline: Pipeline, earlier: Mapping[str, Stage], unknown: Collection[str]
) -> None:
    """Checks the connections of a step.

    Args:
      earlier, unknown: as for `stage_of`.

    Raises:
      UserError: if a connection is wrong or missing.
    """
    wrong = Collected()
    for port, source in spec.inputs.items():
        with wrong.check():
            where = f"{pipeline.document.at(('steps', id, 'in', port))}: step {id}: {explain.dotted(('in', port))}"
            if port not in stage.inputs:
                raise UserError(
                    f"{where}: stage {stage.name} has no input port {quoted(port)}; {suggest(port, stage.inputs)}"
                )
            if (owner := source.partition(".")[0]) == id:
                raise UserError(f"{where}: a step cannot read its own output; connect the output of an earlier step")
            if owner not in unknown:
                _check_source(where, source, stage.inputs[port].kinds, pipeline, earlier)
    wrong.close()  # a misspelt port is missing, too
    for port, kinds in stage.inputs.items():
        if port not in spec.inputs and not kinds.optional:
            with wrong.check():
                fitting = _fitting(kinds.kinds, earlier)
                example = f", such as {fitting[-1]}" if fitting else f" of kind {' or '.join(kinds.kinds)}"
                raise UserError(
                    f"{pipeline.document.at(('steps', id))}: step {id}: input port {port!r} of stage {stage.name} is "
                    f"not connected; write {port}: inputs.<name> or <earlier step>.<port> under 'in'{example}"
                )
    wrong.close()


def _check_source(
    where: str, source: str, kinds: tuple[str, ...], pipeline: Pipeline, earlier: Mapping[str, Stage]
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
    outputs = earlier[owner].outputs
    if port not in outputs:
        raise UserError(f"{where}: step {owner!r} has no output {quoted(port)}; {suggest(port, outputs)}")
    if outputs[port] not in kinds:
        fitting = _fitting(kinds, earlier)
        instead = f"connect {' or '.join(fitting)}" if fitting else "no earlier step makes that kind: add such a step"
        raise UserError(
            f"{where}: {source} is of kind {outputs[port]!r}, the port takes {' or '.join(map(repr, kinds))}; {instead}"
        )


def _fitting(kinds: tuple[str, ...], earlier: Mapping[str, Stage]) -> list[str]:
    return [f"{id}.{port}" for id, stage in earlier.items() for port, kind in stage.outputs.items() if kind in kinds]
