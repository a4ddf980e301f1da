"""Where Python looks for packages: in its installation, and nowhere else that the environment names.

A checkout of Floodrunner in PYTHONPATH is an exception: its developers run it so.
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
_CHECKOUT = ("contract/job.py", "stages/__main__.py")


def clean() -> None:
    """Leaves out, for the rest of this process, the folders that PYTHONPATH and the user's own packages add."""
    _leave_out(strangers())
    if not of_the_user():
        _leave_out([site.getusersitepackages()])


def environment(root: Path) -> dict[str, str]:
    """The environment in which a stage runs: that of this process, with `root` as the only additional folder.

    Python's other variables are left out too: PYTHONWARNINGS=error or PYTHONOPTIMIZE would change what a stage does. So
    are those with which HDF5 would find other files than the runner, which counts these files as input.
    """
    kept = (*_KEPT, "PYTHONUSERBASE") if of_the_user() else _KEPT
    foreign = {name for name in os.environ if name.startswith("PYTHON")} - {*kept} | {*_OF_HDF5}
    found = {name: value for name, value in os.environ.items() if name not in foreign}
    found |= {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    return found if of_the_user() else found | {"PYTHONNOUSERSITE": "1"}


def strangers() -> list[str]:
    """The folders in PYTHONPATH that are no checkouts of Floodrunner."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return [folder for folder in given if not all(os.path.isfile(os.path.join(folder, name)) for name in _CHECKOUT)]


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
