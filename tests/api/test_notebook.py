"""The notebook in `docs/`, run from top to bottom in a new Python, as a reader would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.test_architecture import ROOT

NOTEBOOK = ROOT / "docs" / "python.ipynb"

RUN = """
import json, sys
names = {"__name__": "__main__"}
for number, cell in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))["cells"]):
    if cell["cell_type"] == "code":
        print(f"--- cell {number}", flush=True)
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
assert names["unet"].predict(names["pictures"][0]).labels.shape == (128, 128)
assert names["result"].labels.shape == (10, 28, 28)
assert names["scores"].truth_objects > 1
"""


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def test_it_holds_no_results_of_some_machine() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(code) > 8
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert len({cell["id"] for cell in cells()}) == len(cells())


def test_it_runs_from_top_to_bottom(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", RUN, str(NOTEBOOK)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "train: done in" in answer.stdout
    assert "segment: done in" in answer.stdout
    last = answer.stdout.splitlines()[-1]
    assert last == 'image: the array is uint16, not uint8; give convert="percentiles", or "full_range"'
    assert (tmp_path / "python-example" / "result.h5").exists()
