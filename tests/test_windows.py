"""The command on native Windows, where it cannot run: one line that says what to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
sys.platform = "win32"
for name in ("fcntl", "pwd", "floodrunner.runner"):
    sys.modules[name] = None  # they cannot be imported
from floodrunner.__main__ import main
sys.argv = ["floodrunner", *{arguments}]
main()
"""


@pytest.mark.parametrize("arguments", [[], ["run", "quickstart"]])
def test_one_line_says_to_use_wsl(arguments: list[str]) -> None:
    command = [sys.executable, "-c", CODE.format(arguments=arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("floodrunner: runs on Linux, and on Windows in WSL; in PowerShell: wsl --install, ")
