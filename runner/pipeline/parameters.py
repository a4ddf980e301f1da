"""Checks the parameters of a step: those of its pipeline, and those of `--set`."""

from __future__ import annotations

import re

from pydantic import ValidationError

from floodrunner.contract.stage import StageParams
from floodrunner.runner.errors import Collected, UserError, UserErrors, suggest
from floodrunner.runner.pipeline import explain
from floodrunner.runner.pipeline.registry import Stage
from floodrunner.runner.pipeline.spec import Pipeline, StepSpec
from floodrunner.runner.pipeline.yamlfile import Document, YamlPath
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.words import quoted

_BESIDE = ("stage", "in", *StepOptions.model_fields)
"""Keys of a step that stand beside `params`; users may write such a key inside `params` by mistake."""


def params_of(id: str, spec: StepSpec, stage: Stage, pipeline: Pipeline, sets: dict[str, Document]) -> StageParams:
    """The parameters of a step, from its pipeline and from `--set`.

    Raises:
      UserError: if one is unknown or missing, or not of its type.
    """
    known = [field.alias or name for name, field in stage.params.model_fields.items()]
    params = {**spec.params, **{name: document.value for name, document in sets.items()}}
    wrong = Collected()
    for name in params:
        if name not in known:
            with wrong.check():
                raise UserError(_unknown(name, _place((name,), id, pipeline, sets), known, stage))
    wrong.close()
    texts: dict[YamlPath, str] = {}
    for path, text in pipeline.document.texts.items():
        if path[:3] == ("steps", id, "params") and path[3] not in sets:
            texts[path[3:]] = text
    for name, document in sets.items():
        texts.update({(name, *path): text for path, text in document.texts.items()})
    try:
        return stage.params.parse(params)
    except ValidationError as error:
        lines = [
            f"{_place(path or _named(text, sets), id, pipeline, sets)}: "
            f"{f'{explain.dotted(path)}: ' if path else ''}{text}"
            for path, text in explain.problems(error, params, stage.params, texts)
        ]
        raise (UserErrors(lines) if len(lines) > 1 else UserError(lines[0])) from None
    except ValueError as error:  # json.dumps refuses text that is not Unicode
        raise UserError(f"{_place((), id, pipeline, sets)}: {error}; write plain Unicode text") from None


def _unknown(name: str, where: str, known: list[str], stage: Stage) -> str:
    if new := stage.params.RENAMED.get(name):
        return f"{where}: {name} was renamed; write {new}"
    instead = f"{name} is written beside params, not inside" if name in _BESIDE else suggest(name, known)
    return f"{where}: unknown parameter {quoted(name)} of stage {stage.name}; {instead}"


def _named(text: str, sets: dict[str, Document]) -> YamlPath:
    """The parameter of `--set` that a message about several parameters names first; () if it names none."""
    words = re.findall(r"\w+", text)
    return tuple(sorted((name for name in sets if name in words), key=words.index)[:1])


def _place(path: YamlPath, id: str, pipeline: Pipeline, sets: dict[str, Document]) -> str:
    if path and path[0] in sets:
        return sets[str(path[0])].source
    return f"{pipeline.document.at(('steps', id, 'params', *path))}: step {id}"
