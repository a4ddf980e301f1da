"""The command `floodrunner`. Before it loads anything, it leaves out what the environment adds to Python's search path.

Module systems and ROS set PYTHONPATH for all programs. A library that was built for another Python would be found there
before the one that was installed with Floodrunner.
"""

from __future__ import annotations

import sys

_WINDOWS = (
    "floodrunner: runs on Linux, and on Windows in WSL; in PowerShell: wsl --install, restart Windows, and give the "
    "same commands in WSL's terminal (those that install Floodrunner too); Windows paths work there"
)


def main() -> None:
    if sys.platform == "win32":  # first of all: there, other modules fail to load, and links in a checkout are texts
        print(_WINDOWS, file=sys.stderr)
        sys.exit(2)
    from floodrunner.runner import search_path

    search_path.clean()
    from floodrunner.runner.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
