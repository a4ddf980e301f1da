"""The options of the command line that change a pipeline: `--input`, `--set`, `--force`, `--from`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

from floodrunner.runner.errors import Collected, UserError, suggest
from floodrunner.runner.pipeline import yamlfile
from floodrunner.runner.pipeline.spec import Pipeline, StepSpec
from floodrunner.runner.pipeline.yamlfile import Document


@dataclass(frozen=True)
class Options:
    """Options as the user wrote them.

    Attributes:
      inputs: `images=PATH`.
      sets: `train.max_steps=1000`.
      force: steps to run again from scratch.
      start: the first step to run again; all later steps run again too.
    """

    inputs: Sequence[str] = ()
    sets: Sequence[str] = ()
    force: Sequence[str] = ()
    start: str | None = None


def settings(options: Options, steps: dict[str, StepSpec]) -> dict[str, dict[str, Document]]:
    """The values of `--set`: step -> parameter -> value. Raises UserError if one cannot be read."""
    found: dict[str, dict[str, Document]] = {}
    wrong = Collected()
    for text in options.sets:
        with wrong.check():
            _set(text, steps, found)
    wrong.close()
    return found


def _set(text: str, steps: dict[str, StepSpec], found: dict[str, dict[str, Document]]) -> None:
    target, equals, value = text.partition("=")
    step, dot, param = target.strip().partition(".")
    if not (equals and dot and step and param):
        having = [id for id, spec in steps.items() if equals and not dot and step in spec.params]
        example = f"{having[0]}.{text}" if having else "train.max_steps=1000"
        where = "" if having else f" (steps: {', '.join(steps)})"
        raise UserError(f"--set {text}: write --set STEP.PARAMETER=VALUE, such as --set {quote(example)}{where}")
    if step not in steps:
        raise UserError(f"--set {text}: there is no step {step!r}; {suggest(step, steps)}")
    name, *inner = re.split(r"[.\[]", param)
    if name == "params" and inner:
        raise UserError(f"--set {text}: leave params out: --set {quote(f'{step}.{param[7:]}={value}')}")
    if name != param:
        raise UserError(f"--set {text}: set {name!r} as a whole: --set '{step}.{name}={{key: value, ...}}'")
    if param in found.setdefault(step, {}):
        raise UserError(f"--set {text}: {step}.{param} is set twice; remove one")
    found[step][param] = yamlfile.parse_value(value, f"--set {text}")


def given_inputs(options: Options, pipeline: Pipeline) -> dict[str, str]:
    """The paths of `--input`: name of an input -> path. Raises UserError if there is no such input."""
    given: dict[str, str] = {}
    wrong = Collected()
    for text in options.inputs:
        with wrong.check():
            _given(text, pipeline, given)
    wrong.close()
    return given


def _given(text: str, pipeline: Pipeline, given: dict[str, str]) -> None:
    name, equals, path = text.partition("=")
    if name != name.rstrip():  # images = PATH, like in a file of settings
        name, path = name.strip(), path.strip()
    if not (equals and name and path):
        raise UserError(f"--input {text}: write --input NAME=PATH, such as --input images=data/images")
    if name not in pipeline.spec.inputs:
        raise UserError(f"--input {text}: the pipeline has no input {name!r}; {suggest(name, pipeline.spec.inputs)}")
    if name in given:
        raise UserError(f"--input {text}: {name} is given twice; remove one")
    given[name] = path
