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
from pathlib import Path

_KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONHOME")
"""What stages keep of Python's variables. A Python that needs PYTHONHOME starts no stage without it."""
_OF_HDF5 = ("HDF5_EXT_PREFIX", "HDF5_EXTFILE_PREFIX", "HDF5_VDS_PREFIX")
"""Folders in which HDF5 looks first for the other files that a file takes data from."""


def clean() -> None:
    """Leaves out, for the rest of this process, what PYTHONPATH, the user's own packages and `python -m` add.

    With `-m`, Python looks for modules in the present folder first, where users keep modules of their own.
    """
    _leave_out(strangers())
    if not sys.flags.safe_path and sys.path and sys.path[0] == _present() and not _is_checkout(sys.path[0]):
        del sys.path[0]
    if not of_the_user():
        _leave_out([site.getusersitepackages()])


def environment(root: Path) -> dict[str, str]:
    """The environment in which a stage runs: that of this process, with Floodrunner's as the only additional folder.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`. A checkout holds `floodrunner/` beside
        them; where Floodrunner is installed, they are in `floodrunner/`.

    Python's other variables are left out too: PYTHONWARNINGS=error or PYTHONOPTIMIZE would change what a stage does. So
    are those with which HDF5 would find other files than the runner, which counts these files as input.
    """
    kept = (*_KEPT, "PYTHONUSERBASE") if of_the_user() else _KEPT
    foreign = {name for name in os.environ if name.startswith("PYTHON")} - {*kept} | {*_OF_HDF5}
    found = {name: value for name, value in os.environ.items() if name not in foreign}
    place = root if (root / "floodrunner").is_dir() else root.parent
    found |= {"PYTHONPATH": str(place), "PYTHONUNBUFFERED": "1"}
    return found if of_the_user() else found | {"PYTHONNOUSERSITE": "1"}


def strangers() -> list[str]:
    """The folders in PYTHONPATH that are no checkouts of Floodrunner."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return [folder for folder in given if not _is_checkout(folder)]


def _is_checkout(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "floodrunner", "__init__.py"))


def _present() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return None


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
