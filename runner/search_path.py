"""Where Python looks for packages: in its installation, and nowhere else that the environment names.

A checkout of Floodrunner in PYTHONPATH is an exception: its developers run it so. Modules of Floodrunner need no
protection, since all are below one name; the packages that it uses do, such as a NumPy that another Python would load.
"""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from floodrunner.runner import place

_KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONHOME")
"""What stages keep of Python's variables. A Python that needs PYTHONHOME starts no stage without it."""
_OF_HDF5 = ("HDF5_EXT_PREFIX", "HDF5_EXTFILE_PREFIX", "HDF5_VDS_PREFIX")
"""Folders in which HDF5 looks first for the other files that a file takes data from."""


def clean() -> None:
    """Leaves out, for the rest of this process, what PYTHONPATH, the user's own packages and `python -m` add.

    With `-m`, Python looks for modules in the present folder first, where users keep modules of their own. If another
    Floodrunner was found in what is left out, its modules are forgotten: those of the installation are loaded then.
    """
    _leave_out(strangers())
    present = os.getcwd()
    if not sys.flags.safe_path and sys.path and sys.path[0] == present and not place.is_checkout(Path(present)):
        del sys.path[0]
    if not of_the_user():
        _leave_out([site.getusersitepackages()])
    found, loaded = PathFinder.find_spec("floodrunner"), sys.modules["floodrunner"]
    if found and found.origin and loaded.__file__ and not os.path.samefile(found.origin, loaded.__file__):
        for name in [name for name in sys.modules if name.partition(".")[0] == "floodrunner"]:
            del sys.modules[name]


def environment(root: Path) -> dict[str, str]:
    """The environment in which a stage runs: that of this process, with nothing that is added to the search path.

    A checkout is added, since Python would not find it. What is installed is not: folders in PYTHONPATH come before
    the standard library, and some packages bring modules that are named as those in there.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`. A checkout holds `floodrunner/` beside
        them; where Floodrunner is installed, they are in `floodrunner/`.

    Python's other variables are left out too: PYTHONWARNINGS=error or PYTHONOPTIMIZE would change what a stage does. So
    are those with which HDF5 would find other files than the runner, which counts these files as input.
    """
    kept = (*_KEPT, "PYTHONUSERBASE") if of_the_user() else _KEPT
    foreign = {name for name in os.environ if name.startswith("PYTHON")} - {*kept} | {*_OF_HDF5}
    found = {name: value for name, value in os.environ.items() if name not in foreign}
    found["PYTHONUNBUFFERED"] = "1"
    folder = root if place.is_checkout(root) else root.parent
    if os.path.realpath(folder) not in map(os.path.realpath, (*_installation(), site.getusersitepackages())):
        found["PYTHONPATH"] = str(folder)
    return found if of_the_user() else found | {"PYTHONNOUSERSITE": "1"}


def strangers() -> list[str]:
    """The folders in PYTHONPATH that do not count: all but checkouts, and the only Floodrunner that Python finds."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    strange = [folder for folder in given if not place.is_checkout(Path(folder))]
    absolute = {*map(os.path.abspath, strange)} - _installation()
    if strange and not PathFinder.find_spec("floodrunner", [x for x in sys.path if os.path.abspath(x) not in absolute]):
        return [folder for folder in strange if not os.path.isdir(os.path.join(folder, "floodrunner"))]
    return strange


def _leave_out(folders: list[str]) -> None:
    unwanted = {os.path.abspath(folder) for folder in folders} - _installation()  # some environments name that too
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) not in unwanted]


def _installation() -> set[str]:
    return {os.path.abspath(path) for path in (*sysconfig.get_paths().values(), *site.getsitepackages())}


@cache
def of_the_user() -> tuple[str, ...]:
    """Names what `pip install --user` put into `~/.local` of Floodrunner and the packages that it needs.

    That are those which the installation lacks. With any of them, the user's own packages stay on the search path.
    """
    own = site.getusersitepackages()
    if not site.ENABLE_USER_SITE or not os.path.isdir(own):
        return ()
    from importlib import metadata

    def has(name: str, *folders: str) -> bool:
        return any(True for _ in metadata.distributions(name=name, path=list(folders)))

    try:
        needed = [text for text in metadata.requires("floodrunner") or () if "extra ==" not in text]
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        needed = ["click", "psutil", "pydantic"]
    names = ("floodrunner", *(re.split(r"[^\w.-]", text)[0] for text in needed))
    installed = sorted(_installation())
    return tuple(name for name in names if has(name, own) and not has(name, *installed))
