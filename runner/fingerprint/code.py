"""Hashes of the source that decides a stage's result: its module, and the modules of this project that it imports."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGES = ("contract", "stages", "segmentation")
"""The packages below `floodrunner` that a stage may use."""
_PREFIX = "floodrunner."
_OUR_MODULE = re.compile(r"floodrunner\.(contract|stages|segmentation)(\.\w+)+")
_ALWAYS = ("stages", "stages.__main__")


def hashes(stage: str, root: Path) -> dict[str, str]:
    """Hashes of the modules that a stage consists of.

    Follows imports through all of `PACKAGES`, also imports inside functions and `try`. Comments, docstrings and
    formatting do not count: a better comment is not a reason to train again.

    Args:
      stage: name of the stage, with dashes.
      root: the folder that holds the packages.

    Returns:
      Path below `root` -> hash, sorted.
    """
    found: dict[str, str] = {}
    waiting = [*_ALWAYS, f"stages.{stage.replace('-', '_')}"]
    met = set(waiting)
    while waiting:
        name = waiting.pop()
        key = _file(name, root)
        if key is None:
            continue
        package = name if key.endswith("/__init__.py") else name.rpartition(".")[0]
        found[key], imports = _read((root / key).read_bytes(), package)
        for imported in imports:
            parts = imported.split(".")
            more = {".".join(parts[:n]) for n in range(1, len(parts) + 1)} - met
            met |= more
            waiting += more
    return dict(sorted(found.items()))


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute names that a module may import. `from x import y` gives both x and x.y, because y may be a module.

    A string that looks like a module of this project counts too:
    `importlib.import_module("floodrunner.segmentation.backend")`.

    Args:
      package: the package of the module, which relative imports start from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _OUR_MODULE.fullmatch(node.value):
            yield node.value


@cache
def _read(source: bytes, package: str) -> tuple[str, tuple[str, ...]]:
    """The hash of a module's source, and the modules of this project that it imports, named below `floodrunner`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # the error is reported when the stage runs
        return hashlib.sha256(source).hexdigest(), ()
    absolute = [name.removeprefix(_PREFIX) for name in imports(tree, _PREFIX + package) if name.startswith(_PREFIX)]
    names = tuple(dict.fromkeys(name for name in absolute if name.split(".")[0] in PACKAGES))
    return hashlib.sha256(ast.unparse(_Bare().visit(tree)).encode("utf-8", "surrogatepass")).hexdigest(), names


class _Bare(ast.NodeTransformer):
    """Removes strings that stand alone: docstrings, also the docstrings of fields."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _file(name: str, root: Path) -> str | None:
    """The file of a module, below `root`; None if there is none."""
    path = name.replace(".", "/")
    candidates = (f"{path}/__init__.py", f"{path}.py")
    return next((file for file in candidates if os.path.isfile(os.path.join(root, file))), None)
