"""Describes the stages: for the terminal, and as `docs/pipeline-reference.md`."""

from __future__ import annotations

import json
import types
import typing
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from floodrunner.contract.ports import PortType
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline.registry import Registry, Stage
from floodrunner.runner.step_options import StepOptions

_HEAD = """\
# Pipeline reference

Made by `make docs` from the headers of the modules in `stages/`; do not edit.

A pipeline has inputs, and steps in the order in which they run:

```yaml
name: example                # its run folder is runs/example
run_folder_per: images       # optional, for a pipeline applied to many: the folder is runs/example/<name of images>
inputs:
  images: {{path: data/images, help: "EM sections, one file each"}}
steps:
  image: {{stage: import-images, in: {{stack: inputs.images}}}}
```

A step has `stage`, `in` (port: `inputs.<name>` or `<earlier step>.<port>`), `params` (below, for each stage), and:

{options}

Relative paths start from the folder in which `floodrunner` is run. `--input images=PATH` and
`--set step.parameter=value` replace what the file says. Parameters that end in `_xyz` are in x, y, z.
"""
_SHARED = "In a pipeline, this name stands for {}, whichever fits the connected ports"

_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="), ("min_length", "at least"), ("max_length", "at most"))
_NAMES = {int: "whole number", float: "number", bool: "true or false", str: "text", type(None): "null"}


def listing(registry: Registry) -> list[str]:
    """One line for each stage. If a header cannot be read, its line says why."""
    names = sorted([*registry.files, *registry.shared])
    width = max(map(len, names), default=0)
    return [f"{name:{width}}  {_summary(registry, name)}" for name in names]


def _summary(registry: Registry, name: str) -> str:
    if name in registry.shared:
        return f"{_SHARED.format(' or '.join(registry.shared[name]))}."
    try:
        return registry.get(name).summary
    except UserError as error:
        return f"cannot be used: {error}"


def detail(stage: Stage) -> list[str]:
    """Ports and parameters of one stage, for the terminal."""
    lines = [f"{stage.name}: {stage.summary}", "", "inputs:"]
    lines += [f"  {port}: {_kinds(kinds)}" for port, kinds in stage.inputs.items()] or ["  none"]
    lines += ["outputs:", *(f"  {port}: {kind}" for port, kind in stage.outputs.items()), "params:"]
    for name, kind, default, text in _rows(stage.params):
        lines += [f"  {name}: {kind}, {default}", f"      {text}"]
    return lines if stage.params.model_fields else [*lines, "  none"]


def markdown(registry: Registry) -> str:
    """The whole reference. Raises UserError if a stage's header is wrong."""
    options = [f"- `{name}` ({kind}; default {default}): {text}" for name, kind, default, text in _rows(StepOptions)]
    parts = [_HEAD.format(options="\n".join(options))]
    for name in sorted([*registry.files, *registry.shared]):
        if name in registry.shared:
            links = " or ".join(f"[{each}](#{each})" for each in registry.shared[name])
            parts.append(f"## {name}\n\n{_SHARED.format(links)}.\n")
            continue
        stage = registry.get(name)
        ports = [f"- in `{port}`: {_kinds(kinds)}" for port, kinds in stage.inputs.items()]
        ports += [f"- out `{port}`: {kind}" for port, kind in stage.outputs.items()]
        parts.append(f"## {name}\n\n{stage.summary}\n\n" + "\n".join(ports) + "\n")
        if rows := _rows(stage.params):
            table = ["| parameter | type | default | |", "|---|---|---|---|"]
            table += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
            parts.append("\n".join(table) + "\n")
    return "\n".join(parts)


def _rows(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str, str]]:
    """Name, type, default and help of each field. The fields of a nested model follow the field that holds it."""
    rows = []
    for name, info in model.model_fields.items():
        key = f"{prefix}{info.alias or name}"
        rows.append((key, _type(info.annotation, info), _default(info), " ".join((info.description or "").split())))
        for nested in _models(info.annotation):
            rows += _rows(nested, f"{key}.")
    return rows


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    return json.dumps(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)


def _type(annotation: Any, info: FieldInfo | None = None) -> str:
    """A type in words, with its bounds: `whole number > 0`, `list of 3: whole numbers`."""
    bounds = [
        f"{sign} {getattr(each, name)}"
        for each in (info.metadata if info else [])
        for name, sign in _BOUNDS
        if getattr(each, name, None) is not None
    ]
    text = _bare_type(annotation)
    return f"{text} {', '.join(bounds)}" if bounds else text


def _bare_type(annotation: Any) -> str:
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _bare_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_bare_type(part) for part in arguments)
    if origin is Literal:
        return " or ".join(json.dumps(value) for value in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return f"list of {len(arguments)}: {_plural(arguments[0])}"
    if origin in (list, tuple):
        return f"list of {_plural(arguments[0])}"
    if origin is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return str(annotation)


def _plural(annotation: Any) -> str:
    name = _bare_type(annotation)
    return f"{name}s" if name in ("whole number", "number") else name


def _kinds(kinds: PortType) -> str:
    return " or ".join(kinds.kinds) + (" (optional)" if kinds.optional else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
