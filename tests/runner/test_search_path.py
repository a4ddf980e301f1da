"""What the environment adds to Python's search path decides nothing: neither for the command nor for a step."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import textwrap
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.runner import doctor, search_path
from tests.runner.conftest import REPOSITORY, House

STAGE = '''
    """Tell what Python finds."""
    import importlib.util
    import json
    import os
    import sys
    import warnings

    from floodrunner.contract.stage import Context, StageParams

    INPUTS = {}
    OUTPUTS = {"seen": "metrics"}

    class Params(StageParams):
        pass

    def run(params: Params, context: Context) -> None:
        import numpy

        warnings.warn("would be an error with PYTHONWARNINGS=error")
        names = ("floodrunner.stages", "lab_tools")
        origins = {name: getattr(importlib.util.find_spec(name), "origin", None) for name in names}
        seen = {
            **origins,
            "numpy": numpy.__file__,
            "path": sys.path,
            "optimize": sys.flags.optimize,
            "python": sorted(name for name in os.environ if name.startswith("PYTHON")),
        }
        context.outputs["seen"].write_text(json.dumps(seen))
    '''


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder as ROS and module systems name it in PYTHONPATH: packages named as ours, and of another Python."""
    folder = tmp_path / "stranger"
    for name in ("stages", "segmentation", "contract", "click", "pydantic", "numpy", "h5py", "lab_tools"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text('raise ImportError("built for another Python")\n')
    return folder


def looked(house: House, **environment: str) -> dict[str, Any]:
    """What a step saw that ran in this environment."""
    (house.code / "stages" / "where.py").write_text(textwrap.dedent(STAGE).lstrip())
    house.pipeline("name: demo\nsteps: {x: {stage: where}}\n")
    house.environment |= environment
    ended = house("run", "p.yaml")
    assert (ended.code, ended.err) == (0, "")
    seen: dict[str, Any] = json.loads((house.work / "runs/demo/x/seen.json").read_text())
    return seen


def test_packages_in_pythonpath_are_not_found(house: House, stranger: Path) -> None:
    """They come first there, before a checkout of Floodrunner, which counts."""
    path = os.pathsep.join(map(str, (stranger, house.code)))
    seen = looked(house, PYTHONPATH=path)
    assert seen["floodrunner.stages"] == str(house.code / "stages" / "__init__.py")
    assert seen["lab_tools"] is None
    assert str(stranger) not in seen["path"]
    assert str(stranger) not in seen["numpy"]


def test_code_that_python_runs_at_its_start_is_not_run_in_a_step(house: House, stranger: Path) -> None:
    (stranger / "sitecustomize.py").write_text(
        "import sys\nif 'floodrunner.stages' in sys.orig_argv:\n    raise SystemExit('of another Python')\n"
    )
    path = os.pathsep.join(map(str, (house.code, stranger)))
    seen = looked(house, PYTHONPATH=path, PYTHONWARNINGS="error", PYTHONOPTIMIZE="1", PYTHONSTARTUP="/none")
    assert seen["optimize"] == 0
    assert set(seen["python"]) <= {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE"}


def test_packages_of_the_user_are_not_found(house: House, tmp_path: Path) -> None:
    """`pip install --user` puts them in ~/.local, which counts before the packages of a Conda environment."""
    own = tmp_path / "local" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "lab_tools"
    own.mkdir(parents=True)
    (own / "__init__.py").touch()
    seen = looked(house, PYTHONUSERBASE=str(tmp_path / "local"))
    assert seen["lab_tools"] is None
    assert not any("local/lib/python3" in path and str(tmp_path) in path for path in seen["path"])


def test_what_environments_name_of_the_installation_itself_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packages = site.getsitepackages()[0]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), packages, str(REPOSITORY), "")))
    monkeypatch.setattr(sys, "path", [str(tmp_path), packages, str(REPOSITORY), *sys.path])
    search_path.clean()
    assert sys.path[:2] == [packages, str(REPOSITORY)]
    assert str(tmp_path) not in sys.path


def test_user_packages_stay_where_floodrunner_is_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_path, "of_the_user", lambda: ("docker",))
    own = site.getusersitepackages()
    monkeypatch.setattr(sys, "path", [own, *sys.path])
    monkeypatch.setenv("PYTHONUSERBASE", "/somewhere")
    search_path.clean()
    assert sys.path[0] == own
    found = search_path.environment(Path("/code"))
    assert found["PYTHONUSERBASE"] == "/somewhere"
    assert "PYTHONNOUSERSITE" not in found


@pytest.mark.parametrize(
    ("installed", "own", "expected"),
    [
        (("floodrunner", "click", "psutil"), (), ()),
        (("floodrunner", "click", "psutil"), ("click", "psutil", "keras"), ()),
        ((), ("floodrunner", "click", "psutil"), ("floodrunner", "click", "psutil")),
        (("click",), ("floodrunner", "psutil"), ("floodrunner", "psutil")),  # conda's base has click
        (("floodrunner", "click"), ("psutil",), ("psutil",)),
        (("click",), ("psutil",), ("psutil",)),  # a checkout that was never installed
        (("floodrunner", "click", "psutil"), ("keras",), ()),  # of an extra: not needed by the command
    ],
)
def test_each_package_is_looked_for_in_the_installation(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    installed: tuple[str, ...],
    own: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    for folder, names in (("all", installed), ("own", own)):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}-1.0.dist-info").mkdir()
            (tmp_path / folder / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")

    def requires(name: str) -> list[str]:
        if "floodrunner" not in (*installed, *own):
            raise metadata.PackageNotFoundError(name)
        return ["click>=8.1", "psutil>=6", 'keras>=3.10; extra == "stages"']

    monkeypatch.setattr(metadata, "requires", requires)
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(tmp_path / "own"))
    monkeypatch.setattr(search_path, "_installation", lambda: {str(tmp_path / "all")})
    assert search_path.of_the_user.__wrapped__() == expected
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    assert search_path.of_the_user.__wrapped__() == ()


@pytest.mark.parametrize("way", ["the command", "python -m"])
def test_modules_of_the_user_do_not_break_the_command(stranger: Path, way: str) -> None:
    """In PYTHONPATH, and with `python -m` also in the present folder: named as ours, and as what we use."""
    (stranger / "runner.py").write_text('raise ImportError("of the user")\n')
    with open(REPOSITORY / "pyproject.toml", "rb") as file:
        module, function = tomllib.load(file)["project"]["scripts"]["floodrunner"].split(":")
    start = ["-m", module.removesuffix(".__main__")]
    if way == "the command":
        start = ["-P", "-c", f"from {module} import {function}; {function}()"]
    ended = subprocess.run(
        [sys.executable, *start, "stages"],
        cwd=stranger,
        env={**os.environ, "PYTHONPATH": f"{stranger}{os.pathsep}{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "unet-train" in ended.stdout


def test_steps_keep_what_this_python_may_need_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/opt/python3")
    assert search_path.environment(REPOSITORY)["PYTHONHOME"] == "/opt/python3"


def test_hdf5_does_not_look_elsewhere_for_other_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The runner counts the file beside the input as part of it, not one of the same name in another folder."""
    (tmp_path / "other").mkdir()
    for name, value in (("part.h5", 1), ("other/part.h5", 5)):
        with h5py.File(tmp_path / name, "w") as file:
            file["raw"] = np.full(3, value)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        layout = h5py.VirtualLayout((3,), float)
        layout[:] = h5py.VirtualSource("part.h5", "raw", (3,))
        file.create_virtual_dataset("raw", layout)
    monkeypatch.setenv("HDF5_VDS_PREFIX", str(tmp_path / "other"))
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "FALSE")
    read = f"import h5py; print(h5py.File({str(tmp_path / 'a.h5')!r})['raw'][:].sum())"
    environment = search_path.environment(REPOSITORY)
    assert environment["HDF5_USE_FILE_LOCKING"] == "FALSE"
    for variables, total in ((dict(os.environ), "15.0"), (environment, "3.0")):
        ended = subprocess.run([sys.executable, "-c", read], env=variables, capture_output=True, text=True, check=True)
        assert ended.stdout.strip() == total


def test_doctor_names_the_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    assert list(doctor._search_path()) == []
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("PYTHONHOME", "/opt/python2")
    first, second = doctor._search_path()
    assert (first.level, first.text) == (
        "note",
        f"PYTHONPATH is set ({tmp_path}); Floodrunner and its steps do not use it",
    )
    assert second.text == "PYTHONHOME is set (/opt/python2), which changes what Python and steps load"
    assert second.advice == "if steps fail to start, unset PYTHONHOME"


def test_doctor_names_packages_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("PYTHONHOME", raising=False)
    monkeypatch.setenv("PYTHONUSERBASE", "/none")  # decides nothing
    assert list(doctor._search_path()) == []
    monkeypatch.setattr(search_path, "of_the_user", lambda: ("docker", "psutil"))
    (found,) = doctor._search_path()
    assert found.level == "note"
    assert found.text == (
        "installed by pip install --user only: docker, psutil; so commands and steps use all packages in "
        f"{site.getusersitepackages()}"
    )
