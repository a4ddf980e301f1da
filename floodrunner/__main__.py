"""The command `floodrunner`. Before it loads anything, it leaves out what the environment adds to Python's search path.

Module systems and ROS set PYTHONPATH for all programs. A library that was built for another Python would be found there
before the one that was installed with Floodrunner.
"""

from __future__ import annotations

from floodrunner.runner import search_path


def main() -> None:
    search_path.clean()
    from floodrunner.runner.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
