"""Explains in plain words why pydantic refused a value, and what to write instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from floodrunner.runner.errors import suggest
from floodrunner.runner.pipeline.meant import hint, list_meant
from floodrunner.runner.pipeline.yamlfile import YamlPath
from floodrunner.runner.words import cut, quoted

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "none_required": "null",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}

_Detail = tuple[YamlPath, ErrorDetails]


def problem(
    error: ValidationError, value: Any, model: type[BaseModel], texts: dict[YamlPath, str]
) -> tuple[YamlPath, str]:
    """The first mistake in a value that a model refused.

    Args:
      value: the refused value.
      texts: path within `value` -> the text of a plain scalar (`1e6`), if it is known.

    Returns:
      The path of the mistake within `value`, and one line for the user: what was found, what to write.
    """
    return _explained(_details(error, value), value, model, texts)


def problems(
    error: ValidationError, value: Any, model: type[BaseModel], texts: dict[YamlPath, str]
) -> list[tuple[YamlPath, str]]:
    """The first mistake in each entry of a mapping that a model refused; else like `problem`."""
    entries: dict[YamlPath, list[_Detail]] = {}
    for path, each in _details(error, value):
        entries.setdefault(path[:1], []).append((path, each))
    return [_explained(details, value, model, texts) for details in entries.values()]


def _details(error: ValidationError, value: Any) -> list[_Detail]:
    return [(_path(each["loc"], value), each) for each in error.errors(include_url=False)]


def _explained(
    details: list[_Detail], value: Any, model: type[BaseModel], texts: dict[YamlPath, str]
) -> tuple[YamlPath, str]:
    details, instead = _meant_members(details, value)
    # A misspelt key gives two errors: an unknown key and a missing key. The unknown key is the better hint.
    details.sort(key=lambda pair: pair[1]["type"] != "extra_forbidden")
    path, first = details[0]
    kind = first["type"]
    if kind == "extra_forbidden":
        known = _keys(model.model_json_schema(by_alias=True), path[:-1])
        return path, f"unknown key {quoted(path[-1])}; {suggest(str(path[-1]), known)}"
    found = _found(_at(value, path), texts.get(path))
    if kind == "missing":
        key = first["loc"][-1]
        if isinstance(key, int):
            wanted = 1 + max(int(e["loc"][-1]) for p, e in details if p == path and e["type"] == "missing")
            return path, f"found {found}; write a list of {wanted}{hint(_at(value, path), ['a list'])}"
        return path, f"{key!r} is missing; write {key}: ..."
    if kind in ("too_short", "too_long"):
        context = first["ctx"]
        bound = "at least" if kind == "too_short" else "at most"
        exact = "" if context.get("field_type") == "Tuple" else f"{bound} "
        return path, f"found {found}; write a list of {exact}{context.get('min_length', context.get('max_length'))}"
    if kind in ("value_error", "assertion_error"):
        return path, str(first["ctx"]["error"])
    if len(path) == 2 and list_meant(value[path[0]]):  # [4 4 30] is a list of one text
        items = value[path[0]]
        return path[:1], f"found {_found(items, None)}; put commas between its numbers{hint(items, ['a list'])}"
    wants = list(dict.fromkeys(_wanted(each) for at, each in details if at == path))
    whole = f"; {instead} stands for the whole list" if repr(_at(value, path)) == instead else ""
    return path, f"found {found}; write {' or '.join(wants)}{hint(_at(value, path), wants)}{whole}"


def _meant_members(details: list[_Detail], value: Any) -> tuple[list[_Detail], str | None]:
    """Leaves out what a union says against the type of a value, if one of its members takes values of this type.

    Of `auto` or a list of numbers, only the list is meant by `[8, 8, x]`, so that the mistake is x, not the whole list.

    Returns:
      The mistakes that are left, and the word that could replace the whole value, in quotes, if there is one.
    """
    kept, word = [], None
    for path, each in details:
        of_member = isinstance(_at(value, path), list | dict) and any(
            at[: len(path)] == path and (len(at) > len(path) or other["type"] not in _WANTED) for at, other in details
        )
        if not (of_member and each["type"] in _WANTED):
            kept.append((path, each))
        elif each["type"] == "literal_error":
            word = str(each["ctx"]["expected"])
    return kept, word


def dotted(path: Iterable[str | int]) -> str:
    """A path as text: `box_xyz.start[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part, 60)}" for part in path).lstrip(".")


def _path(location: YamlPath, value: Any) -> YamlPath:
    """The part of pydantic's location that exists in `value`. A location also names union members and missing keys."""
    path: list[str | int] = []
    for part in location:
        if part in (value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)):
            value = value[part]
            path.append(part)
    return tuple(path)


def _at(value: Any, path: YamlPath) -> Any:
    for part in path:
        value = value[part]
    return value


def _found(value: Any, text: str | None) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"{text or json.dumps(value)} (true or false)"
    if isinstance(value, str):
        return f"{quoted(value)} (text)"
    if isinstance(value, int | float):
        return f"{text or value}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a mapping (key: value)"


def _wanted(detail: ErrorDetails) -> str:
    template = _WANTED.get(detail["type"])
    if template is None:
        message = detail["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
        return message[:1].lower() + message[1:]
    return template.format(**detail.get("ctx", {}))


def _keys(schema: dict[str, Any], path: YamlPath) -> list[str]:
    """The keys that a JSON schema allows in the mapping at `path`."""
    definitions = schema.get("$defs", {})
    nodes = _members(schema, definitions)
    for part in path:
        children: list[dict[str, Any]] = []
        for node in nodes:
            if isinstance(part, int):
                children += [node["items"]] if isinstance(node.get("items"), dict) else []
            else:
                child = node.get("properties", {}).get(part, node.get("additionalProperties"))
                children += [child] if isinstance(child, dict) else []
        nodes = [member for child in children for member in _members(child, definitions)]
    return [key for node in nodes for key in node.get("properties", {})]


def _members(node: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes that a schema node stands for: members of a union, the target of a reference, or the node itself."""
    if "$ref" in node:
        return _members(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    unions = [member for key in ("anyOf", "oneOf", "allOf") for member in node.get(key, [])]
    return [found for member in unions for found in _members(member, definitions)] or [node]
