"""Reads the small JSON files that stages hand each other, as strictly as the parameters of a pipeline are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.words import no_permission

Model = TypeVar("Model", bound=BaseModel)

_MOST_BYTES = 2**20
_LONGEST = 57  # characters that a message quotes


def read_json(path: Path, model: type[Model], advice: str) -> Model:
    """Reads one JSON object and checks it.

    Args:
      model: a strict model, which says which keys there are and which values they take.
      advice: what to do if the file is not as a stage wrote it.

    Raises:
      InputError: if the file cannot be read, or is not such an object; the message names the file and the key.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; {advice}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a file; {advice}") from None
    except PermissionError:
        raise no_permission(path) from None
    try:
        return model.model_validate_json(json.dumps(_object(data)))
    except ValidationError as error:
        raise InputError(f"{path}: {problem(error)}; {advice}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_reason(error)}; {advice}") from None


def problem(error: ValidationError) -> str:
    """Says in words what a model refused first: `depth: found 0; input should be greater than or equal to 1`."""
    first = error.errors(include_url=False, include_context=False)[0]
    message, found = first["msg"].removeprefix("Value error, "), repr(first["input"])
    where = ".".join(part if isinstance(part, str) and part.isidentifier() else repr(part) for part in first["loc"])
    where = where if len(where) <= _LONGEST else f"{where[:_LONGEST]}..."
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] == "extra_forbidden":
        return f"{where} is not a key that a stage writes"
    shown = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
    return f"{where}{': ' if where else ''}found {shown}; {message[0].lower()}{message[1:]}"


def _object(data: bytes) -> Any:
    """Parses JSON; ValueError for what the standard does not allow, or leaves open."""
    if len(data) > _MOST_BYTES:
        raise ValueError(f"is larger than {_MOST_BYTES // 2**20} MB")
    if not data.strip():
        raise ValueError("is empty")
    return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_twins, parse_constant=_no_number)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:40]!r} occurs twice")
        found[key] = value
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "is not JSON that a stage writes: its brackets are nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg[0].lower()}{error.msg[1:]} in line {error.lineno}"
    text = str(error)
    return "holds a number of too many digits" if "digits" in text else text
