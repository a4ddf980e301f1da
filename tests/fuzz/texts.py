"""What the runner reads: pipelines, requests for google/ffn, and its own records."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from random import Random
from typing import NoReturn

from tests.fuzz.damage import misspelt
from tests.fuzz.format import Format, Outcome

_ROOT = Path(__file__).resolve().parents[2]
_PIPELINE = """\
# A pipeline of three steps.
name: tiny
inputs:
  images: {path: images, help: "the sections"}
steps:
  image:
    stage: import-images
    in: {stack: inputs.images}
    params: {voxel_size_xyz: [4.0, 4.0, 40.0], clahe_block: 16}
  statistics:
    stage: statistics
    in: {volume: image.volume}
  png:
    stage: export-stack
    in: {volume: image.volume}
    params:
      format: tiff
"""


def _command(folder: Path, *arguments: str) -> Outcome:
    """Runs `floodrunner` with these arguments in a folder."""
    from floodrunner.runner import cli

    before, out, err = Path.cwd(), io.StringIO(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.reported(lambda: cli.cli.main(args=list(arguments), standalone_mode=False))
    finally:
        os.chdir(before)
    told = err.getvalue().removesuffix("\n").replace("\n    ", " ")  # several problems are a list, a line each
    return Outcome(code, told, tuple(out.getvalue().splitlines()))


def _misspell(file: Path, random: Random) -> None:
    file.write_bytes(misspelt(file.read_bytes(), random))


def _make_pipelines(folder: Path) -> None:
    for name, text in {"tiny": _PIPELINE, **_shipped()}.items():
        (folder / name / "images").mkdir(parents=True)
        (folder / name / "images" / "z0.png").write_bytes(b"x")
        (folder / name / "pipeline.yaml").write_text(text)


def _shipped() -> dict[str, str]:
    return {file.stem: file.read_text() for file in sorted((_ROOT / "pipelines").glob("*.yaml"))}


def _read_pipeline(folder: Path) -> Outcome:
    from floodrunner.runner.pipeline import spec
    from floodrunner.runner.survey import ask

    def no_survey(*arguments: object) -> NoReturn:
        raise ask.NoAnswer("the inputs hold nothing")

    ask.survey = no_survey
    try:
        inputs = spec.load(folder / "pipeline.yaml").spec.inputs
    except Exception:  # the command tells about it
        inputs = {}
    given = [part for name in inputs for part in ("--input", f"{name}={folder / 'images'}")]
    return _command(folder, "plan", "pipeline.yaml", "--engine", "local", *given)


def _make_request(folder: Path) -> None:
    from tests.runner.google_ffn.test_pipeline import REQUEST

    (folder / "request").mkdir(parents=True)
    (folder / "request" / "request.pbtxt").write_text(REQUEST)


def _read_request(folder: Path) -> Outcome:
    return _command(folder, "import-ffn", "request.pbtxt")


def _make_run(folder: Path) -> None:
    """The folder of a finished run."""
    from unittest import mock

    import numpy as np
    from PIL import Image

    from floodrunner.runner import engines
    from tests.runner import in_process

    run = folder / "run"
    (run / "images").mkdir(parents=True)
    for z in range(3):
        Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(run / "images" / f"z{z}.png")
    (run / "pipeline.yaml").write_text(_PIPELINE)
    with mock.patch.object(engines, "choose", return_value=("local", in_process, "")):
        done = _command(run, "run", "pipeline.yaml", "--workdir", "work")
    assert done.code == 0, done


def _read_run(folder: Path) -> Outcome:
    for arguments in (
        ("status", "work"),
        ("logs", "image", "work"),
        ("plan", "pipeline.yaml", "--engine", "local", "--workdir", "work"),
        ("clean", "work", "--yes"),
    ):
        outcome = _command(folder, *arguments)
        if outcome.code:
            return outcome
    return outcome


FORMATS = (
    Format("pipeline", _make_pipelines, _read_pipeline, "pipeline.yaml", _misspell),
    Format("request", _make_request, _read_request, "request.pbtxt", _misspell),
    Format("run-records", _make_run, _read_run, "work/**/*.json*", _misspell),
)
