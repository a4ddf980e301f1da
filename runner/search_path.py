"""Where Python looks for packages: in its installation, and nowhere else that the environment names.

A checkout of Floodrunner in PYTHONPATH is an exception: its developers run it so.
"""

from __future__ import annotations

import importlib.machinery
import os
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path

_KEPT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
_OF_HDF5 = ("HDF5_EXT_PREFIX", "HDF5_EXTFILE_PREFIX", "HDF5_VDS_PREFIX")
"""Folders in which HDF5 looks first for the other files that a file takes data from."""
_CHECKOUT = ("contract/job.py", "stages/__main__.py")


def clean() -> None:
    """Leaves out, for the rest of this process, the folders that PYTHONPATH and the user's own packages add."""
    unwanted = {os.path.abspath(entry) for entry in strangers()}
    if not _in_user_site():
        unwanted.add(os.path.abspath(site.getusersitepackages()))
    unwanted -= _installation()  # some environments name that too
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) not in unwanted]


def environment(root: Path) -> dict[str, str]:
    """The environment in which a stage runs: that of this process, with `root` as the only additional folder.

    Python's other variables are left out too: PYTHONWARNINGS=error or PYTHONOPTIMIZE would change what a stage does. So
    are those with which HDF5 would find other files than the runner, which counts these files as input.
    """
    kept = (*_KEPT, "PYTHONUSERBASE") if _in_user_site() else _KEPT
    foreign = {name for name in os.environ if name.startswith("PYTHON")} - {*kept} | {*_OF_HDF5}
    found = {name: value for name, value in os.environ.items() if name not in foreign}
    found |= {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    return found if _in_user_site() else found | {"PYTHONNOUSERSITE": "1"}


def strangers() -> list[str]:
    """The folders in PYTHONPATH that are no checkouts of Floodrunner."""
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return [folder for folder in given if not all(os.path.isfile(os.path.join(folder, name)) for name in _CHECKOUT)]


def _installation() -> set[str]:
    return {os.path.abspath(path) for path in (*sysconfig.get_paths().values(), *site.getsitepackages())}


@cache
def _in_user_site() -> bool:
    """Whether Floodrunner was installed with `pip install --user`: its packages are in `~/.local` and nowhere else."""
    if not site.ENABLE_USER_SITE:
        return False
    find = importlib.machinery.PathFinder.find_spec
    return find("click", sorted(_installation())) is None and find("click", [site.getusersitepackages()]) is not None
