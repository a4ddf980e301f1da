"""One test over all stages: each keeps what it has agreed to with the runner."""

from __future__ import annotations

import ast
import inspect
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from floodrunner.contract.ffn import FieldOfView
from floodrunner.contract.job import PARTIAL, STATE
from floodrunner.contract.ports import SUFFIXES, PortType
from floodrunner.contract.stage import Context, StageParams

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(p for p in (ROOT / "stages").glob("*.py") if not p.name.startswith("_"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def stage(file: Path) -> ModuleType:
    return import_module(f"floodrunner.stages.{file.stem}")


def models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation, *(m for f in annotation.model_fields.values() for m in models(f.annotation))]
    return [model for part in get_args(annotation) for model in models(part)]


def test_there_are_stages() -> None:
    assert len(FILES) >= 5


def test_first_line_says_what_it_does(file: Path, stage: ModuleType) -> None:
    document = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert document
    first = document.splitlines()[0]
    assert first == first.strip()
    assert first.endswith(".")
    assert first[0].isupper()
    assert len(first) <= 120


def test_ports_are_of_known_kinds(stage: ModuleType) -> None:
    assert isinstance(stage.INPUTS, dict)
    assert isinstance(stage.OUTPUTS, dict)
    assert stage.OUTPUTS
    for port, text in stage.INPUTS.items():
        assert port.isidentifier()
        assert port == port.lower()
        assert set(PortType.parse(text).kinds) <= set(SUFFIXES)
    for port, kind in stage.OUTPUTS.items():
        assert port.isidentifier()
        assert port == port.lower()
        assert port not in (PARTIAL, STATE)
        assert SUFFIXES[kind] is not None


def test_params_are_strict_documented_and_their_defaults_valid(stage: ModuleType) -> None:
    assert issubclass(stage.Params, StageParams)
    for model in models(stage.Params):
        config = model.model_config
        assert config.get("extra") == "forbid"
        assert config.get("strict")
        assert config.get("frozen")
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no docstring"
            assert field.description.strip().endswith("."), f"{model.__name__}.{name}: a sentence"
    needed = {name for name, field in stage.Params.model_fields.items() if field.is_required()}
    if not needed:
        defaults = stage.Params.parse({})
        # What the runner fills in and hands over is what the stage reads back.
        assert stage.Params.parse(json.loads(json.dumps(defaults.model_dump(mode="json")))) == defaults


def test_unknown_parameters_are_refused(stage: ModuleType) -> None:
    with pytest.raises(ValueError, match="no_such_parameter"):
        stage.Params.parse({"no_such_parameter": 1})


def test_names_with_axes_end_in_xyz(stage: ModuleType) -> None:
    """There is no third way: three numbers of a user's are x, y, z and say so."""
    for model in models(stage.Params):
        for name, field in model.model_fields.items():
            if model is stage.Params and numbers(field.annotation) in ((int,) * 3, (float,) * 3):
                assert name.endswith("_xyz"), name


def numbers(annotation: Any) -> tuple[Any, ...]:
    """What a tuple holds, without the limits that `Annotated` adds."""
    return tuple(get_args(each)[0] if hasattr(each, "__metadata__") else each for each in get_args(annotation))


def test_three_numbers_with_limits_are_seen_as_three_numbers() -> None:
    assert numbers(FieldOfView.model_fields["fov_xyz"].annotation) == (int, int, int)


def test_run_takes_params_and_context(stage: ModuleType) -> None:
    signature = inspect.signature(stage.run, eval_str=True)
    assert list(signature.parameters) == ["params", "context"]
    assert signature.parameters["params"].annotation is stage.Params
    assert signature.parameters["context"].annotation is Context
    assert signature.return_annotation is None


def test_it_has_a_test(file: Path) -> None:
    assert (ROOT / "tests" / "stages" / f"test_{file.stem}.py").is_file()
