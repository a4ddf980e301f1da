"""What `import floodrunner` offers, and what it says if packages are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import floodrunner
from tests.test_architecture import ROOT


def test_every_name_is_there_and_documented() -> None:
    listed = [name for names in floodrunner._MODULES.values() for name in names]
    assert sorted(listed) == sorted(floodrunner.__all__) == sorted(set(listed))
    for name in floodrunner.__all__:
        found = getattr(floodrunner, name)
        assert found.__doc__, name
        assert name in dir(floodrunner)
    assert issubclass(floodrunner.InputError, Exception)


def test_type_checkers_see_the_same_names() -> None:
    import ast

    tree = ast.parse((ROOT / "floodrunner" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(floodrunner.__all__)
    assert (ROOT / "floodrunner" / "py.typed").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'floodrunner' has no attribute 'segment'"):
        _ = floodrunner.segment  # type: ignore[attr-defined]


def test_without_the_packages_of_steps_one_line_says_how_to_install_them() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\nimport floodrunner\nprint(floodrunner.__version__)\nfloodrunner.load"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == floodrunner.__version__
    last = answer.stderr.splitlines()[-1]
    assert last.startswith("ImportError: floodrunner.load: the packages that steps need are not installed (numpy); ")
    assert last.endswith(" installs them")


def test_finding_the_functions_loads_no_keras() -> None:
    code = """import sys, floodrunner
for name in floodrunner.__all__:
    getattr(floodrunner, name)
print("keras" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "False", answer.stderr
