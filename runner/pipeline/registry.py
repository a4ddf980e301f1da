"""The known stages: the modules of the folder `stages/`. A header is read by importing its module."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from floodrunner import contract
from floodrunner.contract.ports import SUFFIXES, PortType, port_file
from floodrunner.contract.stage import StageParams
from floodrunner.runner.errors import UserError, suggest
from floodrunner.runner.words import quoted
from floodrunner.runner.workdir.names import OURS

_OWN = Path(str(contract.__file__)).parents[1] / "stages"

SHARED_NAMES = {"evaluate": ("evaluate-volume", "evaluate-pictures")}
"""Name that a pipeline may write for several stages -> these stages. The plan takes the stage whose ports fit."""


@dataclass(frozen=True)
class Stage:
    """The header of a stage.

    Attributes:
      file: path of its module, absolute.
      summary: the first line of its docstring.
      inputs: port -> the kinds that it takes.
      outputs: port -> the kind of the port.
    """

    name: str
    file: Path
    summary: str
    inputs: dict[str, PortType]
    outputs: dict[str, str]
    params: type[StageParams]

    @property
    def module(self) -> str:
        """The file of the module, for messages: `stages/fill.py`."""
        return f"{self.file.parent.name}/{self.file.name}"


@dataclass
class Registry:
    """Stages by name. A header is read when it is needed, so a broken module affects only pipelines that use it.

    Attributes:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
      files: name of a stage -> its module.
    """

    root: Path
    files: dict[str, Path]
    _read: dict[str, Stage] = field(default_factory=dict)

    def get(self, name: str) -> Stage:
        """The header of one stage. Raises UserError if there is no such stage, or its header is wrong."""
        if name not in self.files:
            raise UserError(f"unknown stage {quoted(name)}; {suggest(name, [*self.files, *self.shared])}")
        if name not in self._read:
            self._read[name] = _header(name, self.files[name])
        return self._read[name]

    @property
    def shared(self) -> dict[str, tuple[str, ...]]:
        """The entries of `SHARED_NAMES` whose stages are all in this folder."""
        return {name: stages for name, stages in SHARED_NAMES.items() if set(stages) <= self.files.keys()}

    def candidates(self, name: str) -> list[Stage]:
        """The stages that a name in a pipeline may mean: one, or all that share it. Raises UserError like `get`."""
        return [self.get(each) for each in self.shared.get(name, (name,))]


def scan(folder: Path | None = None) -> Registry:
    """Lists the stages in a folder, without reading them.

    Args:
      folder: by default the folder of the package `stages`.
    """
    folder = (folder or _OWN).resolve()
    files = {p.stem.replace("_", "-"): p for p in sorted(folder.glob("*.py")) if not p.name.startswith("_")}
    return Registry(folder.parent, files)


def _header(name: str, file: Path) -> Stage:
    where = f"{file.parent.name}/{file.name}"
    module = _load(file, where)
    document = inspect.getdoc(module)
    if not document:
        raise UserError(f"{where}: has no docstring; write one whose first line says what the stage does")
    for attribute in ("INPUTS", "OUTPUTS"):
        if not isinstance(getattr(module, attribute, None), dict):
            raise UserError(f"{where}: has no dictionary {attribute}; write {attribute} = {{port: kind}}")
    inputs = {port: PortType.parse(kinds) for port, kinds in module.INPUTS.items()}
    kinds = [*(k for port in inputs.values() for k in port.kinds), *module.OUTPUTS.values()]
    for kind in kinds:
        if kind not in SUFFIXES:
            raise UserError(f"{where}: unknown kind of port {kind!r}; {suggest(kind, SUFFIXES)}")
    for port, kind in module.OUTPUTS.items():
        if SUFFIXES[kind] is None:
            raise UserError(
                f"{where}: output {port!r} is of kind {kind!r}, which only users provide; choose another kind"
            )
    for port in [*inputs, *module.OUTPUTS]:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", port):
            raise UserError(f"{where}: a port cannot be named {port!r}; use lower-case letters, digits and '_'")
    for port, kind in module.OUTPUTS.items():
        if (taken := port_file(port, kind)) in OURS:
            raise UserError(
                f"{where}: an output of kind {kind!r} cannot be named {port!r}: {taken} is a name that the runner "
                "uses; rename the output"
            )
    if not module.OUTPUTS:
        raise UserError(f"{where}: OUTPUTS is empty; a stage writes at least one output")
    params = getattr(module, "Params", None)
    if not (isinstance(params, type) and issubclass(params, StageParams)):
        raise UserError(f"{where}: has no class Params(StageParams); write one, empty if there are no parameters")
    if not callable(getattr(module, "run", None)):
        raise UserError(f"{where}: has no function run(params, context); write one")
    summary = document.splitlines()[0]
    return Stage(name, file, summary, inputs, dict(module.OUTPUTS), params)


def _load(file: Path, where: str) -> ModuleType:
    # Modules of the package `stages` keep their names; modules of another folder get a name that cannot clash.
    own = file.parent == _OWN.resolve()
    name = f"floodrunner.stages.{file.stem}" if own else f"stages_in_{file.parent.parent.name}_{file.stem}"
    try:
        if own:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pydantic looks up names of annotations in it
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        line = getattr(error, "lineno", None)
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"{where}{f':{line}' if line else ''}: its header is wrong: {text}; correct the header"
        ) from error
