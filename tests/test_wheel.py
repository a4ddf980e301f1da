"""What is installed: everything below `floodrunner`, and nothing of it under a name that users take for themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from floodrunner.version import __version__
from tests.test_architecture import PACKAGES, ROOT

BUILD = "import sys, hatchling.build as build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
INFO = f"floodrunner-{__version__}.dist-info"
HOSTILE = ("runner", "stages", "segmentation", "contract", "pipelines", "click", "yaml", "pydantic", "numpy")
CELLS = "name: demo\nsteps: {cells: {stage: phantom-cells, params: {pictures: 2, test_pictures: 1}}}\n"


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
    (entry,) = (place / INFO / "entry_points.txt").read_text().splitlines()[1:]
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
    assert {path.name for path in installed.iterdir()} == {"floodrunner", INFO, "others.pth"}
    assert "Apache License" in (installed / INFO / "licenses" / "LICENSE").read_text()
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


def copied(folder: Path) -> Path:
    """A copy of the checkout, without what no wheel holds."""
    ignored = shutil.ignore_patterns(".*", "tests", "docs", "__pycache__", "runs", "data", "dist")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    for name in (".dockerignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_what_else_lies_in_a_checkout_is_not_packed(wheel: Path, tmp_path: Path) -> None:
    source = copied(tmp_path / "source")
    for name in ("pipelines/mine.yaml", "pipelines/runs/x/data.txt", "stages/fill.py~", "containers/big.sif", "x.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    junk = built("build_wheel", source, tmp_path)
    assert zipfile.ZipFile(junk).namelist() == zipfile.ZipFile(wheel).namelist()


def test_an_editable_installation_holds_no_copy_of_the_source(tmp_path: Path) -> None:
    with zipfile.ZipFile(built("build_editable", ROOT, tmp_path)) as archive:
        assert [name for name in archive.namelist() if name.endswith((".py", ".yaml"))] == []
        assert archive.read("_floodrunner.pth").decode() == str(ROOT)


@pytest.mark.parametrize("lost", ["removed", "a text, as Git for Windows writes it"])
def test_a_copy_without_links_says_how_to_make_them(tmp_path: Path, lost: str) -> None:
    source = copied(tmp_path / "my source")
    for link in (source / "floodrunner").iterdir():
        if link.is_symlink():
            text = os.readlink(link)
            link.unlink()
            if lost != "removed":
                link.write_text(text)
    first = started([sys.executable, "-m", "floodrunner", "--version"], tmp_path, PYTHONPATH=str(source))
    assert first.returncode == 2
    assert first.stderr.startswith(f"floodrunner: {source}/floodrunner has no runner: ")
    (line,) = first.stderr.splitlines()
    subprocess.run(line.partition("make them with: ")[2], shell=True, check=True)
    again = started([sys.executable, "-m", "floodrunner", "--version"], tmp_path, PYTHONPATH=str(source))
    assert (again.returncode, again.stderr) == (0, "")


def started(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command, as a process that finds no Docker engine."""
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock", **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


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
        words = [str(environment / command[0]), *command[1:], *arguments]
        ended = started(words, hostile, PYTHONPATH=str(hostile))
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
        return ended.stdout

    shipped = packages(environment) / "floodrunner" / "pipelines" / "quickstart.yaml"
    if way == "python -m":
        assert "score" in floodrunner("plan", str(shipped))
        return
    (hostile / "p.yaml").write_text(CELLS)
    assert "unet-train" in floodrunner("stages")
    assert "done" in floodrunner("run", "p.yaml")
    record = json.loads((hostile / "runs" / "demo" / "cells" / "step.json").read_text())
    assert record["parts"]["code"].keys() >= {"stages/phantom_cells.py", "segmentation/__init__.py"}


def test_what_is_installed_comes_after_the_standard_library(environment: Path, tmp_path: Path) -> None:
    """For steps too: some packages bring modules that are named as those of the standard library."""
    module = packages(environment) / "csv.py"
    module.write_text('raise ImportError("of a package")\n')
    (tmp_path / "p.yaml").write_text(CELLS)
    ended = started([str(environment / "bin/floodrunner"), "run", "p.yaml"], tmp_path, PYTHONPATH="")
    module.unlink()
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout


def test_packages_of_another_environment_do_not_count(environment: Path, wheel: Path, tmp_path: Path) -> None:
    """Python finds the Floodrunner in PYTHONPATH first; that of the installation is loaded in its place."""
    other = tmp_path / "other"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(other)
    for name in ("click.py", "floodrunner/runner/cli.py"):
        (other / name).write_text('raise ImportError("of another environment")\n')
    ended = started([str(environment / "bin/floodrunner"), "--version"], tmp_path, PYTHONPATH=str(other))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert __version__ in ended.stdout


def test_an_installation_that_only_pythonpath_names_counts(wheel: Path, tmp_path: Path) -> None:
    """`pip install --target`, and the modules of clusters."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "place")
    venv.create(tmp_path / "environment", symlinks=True)
    (packages(tmp_path / "environment") / "others.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "p.yaml").write_text(CELLS)
    command = [str(tmp_path / "environment/bin/python"), "-P", "-m", "floodrunner", "run", "p.yaml"]
    ended = started(command, tmp_path, PYTHONPATH=str(tmp_path / "place"))
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout


def test_a_current_folder_that_was_removed_is_one_line(environment: Path, tmp_path: Path) -> None:
    floodrunner = environment / "bin/floodrunner"
    command = ["sh", "-c", f"mkdir gone && cd gone && rmdir ../gone && exec {floodrunner} pipelines"]
    ended = started(command, tmp_path, PYTHONPATH="")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "floodrunner: the current folder was removed or renamed; cd to a folder that exists, and try again there\n"
    )
