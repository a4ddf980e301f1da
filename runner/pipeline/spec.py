"""The form of a pipeline file: a name, inputs, and steps in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from floodrunner.runner.errors import UserError, suggest
from floodrunner.runner.pipeline import explain, yamlfile
from floodrunner.runner.pipeline.yamlfile import Document
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.words import cut, quoted

_RULES = (  # what is named, the pattern of its name, and that pattern in words
    ("name", r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits, '-', '_' and '.', starting with a letter or digit"),
    ("inputs", r"[a-z][a-z0-9_-]*", "lower-case letters, digits, '-' and '_', starting with a letter"),
    ("steps", r"[a-z][a-z0-9_-]*", "lower-case letters, digits, '-' and '_', starting with a letter"),
)
_LONGEST_NAME = 200
_Text = Annotated[str, StringConstraints(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class InputSpec(_Strict):
    """An input of the pipeline: its path, which `--input` replaces, and a description for people."""

    path: _Text | None = None
    help: str = ""


class StepSpec(StepOptions):
    """One run of a stage: `inputs` (written `in`) maps its ports to `inputs.<name>` or `<step>.<port>`."""

    stage: str
    inputs: dict[str, str] = Field(default={}, alias="in")
    params: dict[str, Any] = Field(default={})

    def options(self) -> StepOptions:
        """The options of the step, without stage, ports and parameters."""
        return StepOptions(**{name: getattr(self, name) for name in StepOptions.model_fields})


class PipelineSpec(_Strict):
    """A pipeline.

    Attributes:
      run_folder_per: the input after which the run folder is named, `runs/<pipeline>/<input>`, for a pipeline that is
        applied to many; without it there is one run folder, `runs/<pipeline>`.
    """

    name: str
    run_folder_per: str | None = None
    inputs: dict[str, InputSpec] = {}
    steps: dict[str, StepSpec]


@dataclass(frozen=True)
class Pipeline:
    """A pipeline as its file gives it, with the line of each part."""

    spec: PipelineSpec
    document: Document


def load(path: Path) -> Pipeline:
    """Reads a pipeline file.

    Raises:
      UserError: if the file is not YAML or not of this form. The message names file, line, what was found and what to
        write.
    """
    return read(yamlfile.load(path))


def read(document: Document) -> Pipeline:
    """Checks the form of a pipeline that was read from YAML. Raises UserError like `load`."""
    if not isinstance(document.value, dict):
        raise UserError(f"{document.source}:1: a pipeline is a mapping; write name: ..., inputs: ... and steps: ...")
    try:
        # JSON is not used here: it cannot hold a path that is not UTF-8, and `input_path` explains such a path better.
        spec = PipelineSpec.model_validate(document.value)
    except ValidationError as error:
        path, text = explain.problem(error, document.value, PipelineSpec, document.texts)
        where = _where(path)
        if len(path) == 2 and path[0] == "inputs" and isinstance(found := document.value["inputs"][path[1]], str):
            text = f"found {quoted(found, 200)} (text); write {{path: {cut(found, 200)}}}"
        raise UserError(f"{document.at(path)}: {where}{': ' if where else ''}{text}") from None
    for kind, pattern, rule in _RULES:
        for name in [spec.name] if kind == "name" else list(getattr(spec, kind)):
            where = document.at((kind,) if kind == "name" else (kind, name))
            what = {"name": "the pipeline", "inputs": "an input", "steps": "a step"}[kind]
            if len(name) > _LONGEST_NAME:  # it is part of the names of folders and containers
                raise UserError(f"{where}: the name of {what} has {len(name)} characters; use at most {_LONGEST_NAME}")
            if not re.fullmatch(pattern, name):
                raise UserError(f"{where}: {what} cannot be named {quoted(name)}; use {rule}")
    if not spec.steps:
        raise UserError(f"{document.at(('steps',))}: the pipeline has no steps; write at least one")
    if "inputs" in spec.steps:
        where = document.at(("steps", "inputs"))
        raise UserError(
            f"{where}: a step cannot be named 'inputs', because inputs.<name> means the pipeline's input; rename the "
            "step"
        )
    if spec.run_folder_per is not None and spec.run_folder_per not in spec.inputs:
        where = document.at(("run_folder_per",))
        raise UserError(
            f"{where}: run_folder_per: the pipeline has no input {quoted(spec.run_folder_per)}; "
            f"{suggest(spec.run_folder_per, spec.inputs)}"
        )
    return Pipeline(spec, document)


def _where(path: yamlfile.YamlPath) -> str:
    """A path in words: `step train: params`, `input images: path`."""
    if len(path) >= 2 and path[0] in ("steps", "inputs"):
        kind = "step" if path[0] == "steps" else "input"
        rest = explain.dotted(path[2:])
        name = explain.dotted(path[1:2])
        return f"{kind} {name}: {rest}" if rest else f"{kind} {name}"
    return explain.dotted(path)
