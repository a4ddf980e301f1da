"""What is installed: everything below `floodrunner`, and nothing of it under a name that users take for themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGES, ROOT

BUILD = "import sys, hatchling.build as build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
HOSTILE = ("runner", "stages", "segmentation", "contract", "pipelines", "click", "yaml", "pydantic", "numpy")


def built(kind: str, source: Path, folder: Path) -> Path:
    """Builds the wheel or the source distribution of a folder, as pip does."""
    command = [sys.executable, "-c", BUILD, kind, str(folder)]
    ended = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return folder / ended.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("build_wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which the wheel is installed: unpacked, which is all that pip does, and with its command.

    All other packages are those of this Python.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    place = packages(folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    (place / "others.pth").write_text(sysconfig.get_path("purelib"))
    (entry,) = (place / "floodrunner-0.1.0.dist-info" / "entry_points.txt").read_text().splitlines()[1:]
    name, _, target = entry.partition(" = ")
    module, function = target.split(":")
    command = folder / "bin" / name
    command.write_text(f"#!{folder}/bin/python\nfrom {module} import {function}\n{function}()\n")
    command.chmod(0o755)
    return folder


def packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))


def test_a_wheel_holds_one_package_with_all_that_the_command_needs(environment: Path) -> None:
    installed = packages(environment)
    assert {path.name for path in installed.iterdir()} == {"floodrunner", "floodrunner-0.1.0.dist-info", "others.pth"}
    for folder in (*PACKAGES, "pipelines"):
        wanted = {
            path.relative_to(ROOT / folder)
            for path in (ROOT / folder).rglob("*")
            if path.suffix in (".py", ".yaml", ".typed") and not path.is_relative_to(ROOT / "floodrunner" / folder)
        }
        place = installed / "floodrunner" / (folder if folder != "floodrunner" else "")
        assert {path for path in wanted if not (place / path).is_file()} == set()
    for name in (".dockerignore", "Dockerfile.cpu", "Dockerfile.gpu", "containers/prove_cuda.py"):
        assert (installed / "floodrunner" / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_source_distribution_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built("build_sdist", ROOT, tmp_path)) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = built("build_wheel", source, tmp_path)
    held = [
        {entry.filename: entry.CRC for entry in zipfile.ZipFile(each).infolist()}  # the times are those of the build
        for each in (wheel, again)
    ]
    assert held[0] == held[1]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder in which a user has modules of their own, named as ours are and as those that we use."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in HOSTILE[::2]:
        (folder / f"{name}.py").write_text('raise ImportError("of the user")\n')
    for name in HOSTILE[1::2]:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text('raise ImportError("of the user")\n')
    return folder


@pytest.mark.parametrize("way", ["the command", "python -m"])
def test_modules_of_the_user_change_nothing(environment: Path, hostile: Path, way: str) -> None:
    """In the present folder and in PYTHONPATH: neither for the command nor for its steps."""
    command = ["bin/floodrunner"] if way == "the command" else ["bin/python", "-m", "floodrunner"]

    def floodrunner(*arguments: str) -> str:
        ended = subprocess.run(
            [environment / command[0], *command[1:], *arguments],
            cwd=hostile,
            env={**os.environ, "PYTHONPATH": str(hostile), "DOCKER_HOST": "unix:///nowhere.sock"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
        return ended.stdout

    shipped = packages(environment) / "floodrunner" / "pipelines" / "quickstart.yaml"
    if way == "python -m":
        assert "score" in floodrunner("plan", str(shipped))
        return
    (hostile / "p.yaml").write_text(
        "name: demo\nsteps:\n  cells: {stage: phantom-cells, params: {pictures: 2, test_pictures: 1}}\n"
    )
    assert "unet-train" in floodrunner("stages")
    assert "done" in floodrunner("run", "p.yaml")
    record = json.loads((hostile / "runs" / "demo" / "cells" / "step.json").read_text())
    assert record["parts"]["code"].keys() >= {"stages/phantom_cells.py", "segmentation/__init__.py"}
