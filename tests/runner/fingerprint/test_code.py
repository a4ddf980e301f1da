"""Which source a step depends on: imports are followed wherever they hide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from floodrunner.runner.fingerprint import code as source_code

FILES = {
    "stages/__init__.py": "",
    "stages/__main__.py": "from floodrunner.contract import codes, stage\n",
    "contract/__init__.py": "",
    "contract/codes.py": "",
    "contract/stage.py": "",
    "stages/storage/__init__.py": "",
    "stages/storage/volumes.py": "import json\n",
    "stages/a.py": """
from floodrunner.contract.stage import X
def run(params, context):
    from floodrunner.segmentation import labels
    from floodrunner.segmentation.ffn.network import Net
""",
    "stages/b.py": "",
    "segmentation/__init__.py": "",
    "segmentation/labels.py": "try:\n    from . import tools\nexcept ImportError:\n    tools = None\n",
    "segmentation/tools.py": "from floodrunner.segmentation import labels\n",  # in a circle
    "segmentation/unused.py": "",
    "segmentation/ffn/__init__.py": "",
    "segmentation/ffn/network.py": "from ..backend import compiled\nfrom .moves import step\n",
    "segmentation/ffn/moves.py": "import importlib\nimportlib.import_module('floodrunner.segmentation.late')\n",
    "segmentation/late.py": "def f():\n    import floodrunner.stages.storage.volumes\n",
    "segmentation/backend.py": "import numpy\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_everything_imported_and_nothing_else(root: Path) -> None:
    assert set(source_code.hashes("a", root)) == set(FILES) - {"stages/b.py", "segmentation/unused.py"}
    assert set(source_code.hashes("b", root)) == {
        "contract/__init__.py",
        "contract/codes.py",
        "contract/stage.py",
        "stages/__init__.py",
        "stages/__main__.py",
        "stages/b.py",
    }


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("def f(x):\n    return x + 1\n", "# why\ndef f(x):\n\n    return x + 1  # one more\n", True),
        ("def f(x):\n    return x + 1\n", 'def f(x):\n    """Adds."""\n    return (x +\n            1)\n', True),
        ("class A:\n    x: int = 1\n", 'class A:\n    x: int = 1\n    """Help."""\n', True),
        ("def f(x):\n    return x + 1\n", "def f(x):\n    return x + 2\n", False),
        ("def f(x=1):\n    pass\n", "def f(x=2):\n    pass\n", False),
        ("x = 'a'\n", "x = 'b'\n", False),
        ("x = 1\n", "x = 1.0\n", False),
        ("x = (\n", "x = (\n", True),
        ("x = (\n", "x = [\n", False),
    ],
)
def test_what_counts_as_a_change(root: Path, old: str, new: str, same: bool) -> None:
    found = []
    for text in (old, new):
        (root / "stages/b.py").write_text(text)
        found.append(source_code.hashes("b", root)["stages/b.py"])
    assert (found[0] == found[1]) is same


def test_real_stages_load_nothing_that_was_not_found() -> None:
    """The oracle: modules of ours that Python has loaded after importing a stage's helpers for real."""
    root = Path(__file__).resolve().parents[3]
    found = source_code.hashes("evaluate-volume", root)
    modules = [f"floodrunner.{name.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}" for name in found]
    code = (
        "import importlib, sys\n"
        f"for name in {[m for m in modules if m != 'floodrunner.stages.__main__']!r}: importlib.import_module(name)\n"
        "print(*[n for n in sys.modules if n.startswith(('floodrunner.contract', 'floodrunner.s'))])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert set(answer.stdout.split()) <= set(modules)
    assert "floodrunner.segmentation.scores.rand_and_vi" in modules
