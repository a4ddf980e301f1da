"""The `floodrunner` command. Its own `runner` is the one that counts, whatever else on the search path has this name.

The name of this module is found once, while PYTHONPATH and ~/.local may hold a package `runner` too, and come first.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from floodrunner import runner  # noqa: F401  # its modules are looked for beside it from now on

    del sys.path[0]
    from floodrunner.runner.__main__ import main as command

    command()
