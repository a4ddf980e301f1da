"""`plan` and `run` of a shipped pipeline refuse stacks that do not fit, by the command line and the real stages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[3]


def sections(folder: Path, count: int, dtype: type) -> Path:
    folder.mkdir()
    for z in range(count):
        Image.fromarray(np.full((40, 40), z + 1, dtype)).save(folder / f"z{z:03d}.png")
    return folder


@pytest.mark.parametrize("command", ["plan", "run"])
def test_stacks_that_do_not_fit(command: str, tmp_path: Path) -> None:
    images, labels = sections(tmp_path / "images", 12, np.uint16), sections(tmp_path / "labels", 11, np.uint16)
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "floodrunner", command, "ffn", "--engine", "local"),
            *("--input", f"images={images}", "--input", f"labels={labels}"),
            *("--set", "segment.box_xyz={start: [0, 0, 0], size: [41, 4, 4]}"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "floodrunner: 3 things are wrong:"
    assert [line.split(":")[0] for line in lines[1:]] == ["  step image", "  step truth", "  step segment"]
    assert "--set image.convert_16_bit=percentiles" in lines[1]
    assert "11 sections of 40 x 40 of labels, but 12 sections of 40 x 40 of images" in lines[2]
    assert not (tmp_path / "runs").exists()
    assert ("images: 12 sections (z000.png to z011.png)" in " ".join(done.stdout.split())) == (command == "plan")
