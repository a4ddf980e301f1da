"""The command `floodrunner`. Before it loads anything, it leaves out what the environment adds to Python's search path.

Module systems and ROS set PYTHONPATH for all programs. A library that was built for another Python would be found there
before the one that was installed with Floodrunner.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

_WINDOWS = (
    "floodrunner: runs on Linux, and on Windows in WSL; in PowerShell: wsl --install, restart Windows, and give the "
    "same commands in WSL's terminal (those that install Floodrunner too); Windows paths work there"
)


_NO_FOLDER = "floodrunner: the current folder was removed or renamed; cd to a folder that exists, and try again there"
_NO_LINKS = (
    "floodrunner: {here} has no {folder}: copies and archives of a checkout may lose its links to folders; make them "
    "with: cd {parent} && ln -sf ../contract ../pipelines ../runner ../segmentation ../stages floodrunner/"
)


def main() -> None:
    if sys.platform == "win32":  # first of all: there, other modules fail to load, and links in a checkout are texts
        _end(_WINDOWS)
    try:
        os.getcwd()
    except FileNotFoundError:
        _end(_NO_FOLDER)
    try:
        from floodrunner.runner import search_path
    except ModuleNotFoundError as error:
        folder = (error.name or "").removeprefix("floodrunner.")
        if folder not in ("contract", "runner"):
            raise
        here = os.path.dirname(os.path.abspath(__file__))
        _end(_NO_LINKS.format(here=here, folder=folder, parent=shlex.quote(os.path.dirname(here))))

    search_path.clean()
    from floodrunner.runner.cli import main as command_line

    command_line()


def _end(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
