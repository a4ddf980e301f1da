"""Installs lock files with pip into the environment of this Python, and shows one line for each package.

`python requirements/install.py [--download FOLDER] requirements/cpu.txt ...`; with a folder, the wheels are put there,
and nothing is installed. What pip says last is shown if it fails.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
FETCHED = re.compile(
    r" *(?:Downloading|Using cached|Processing) (?:\S*/)?(\w[\w.]*-[\w.!+]+)-\S*\.whl(?: (\([\d.]+ \w+\)))?(?: |$)"
)
MOST_SHOWN = 30
"""How many lines of pip's are shown when it fails."""

CUDA_FOR_JAX = {"jax-cuda12-plugin", "jax-cuda12-pjrt"}
OF_CPU, OF_GPU = {"tensorflow-cpu"}, {"tensorflow"}  # one folder, so never both
if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
    OF_CPU, OF_GPU = OF_GPU, OF_CPU  # only there TensorFlow has a smaller package for the CPU
NOT_BESIDE = {
    "cpu": OF_GPU | CUDA_FOR_JAX,
    "dev": OF_GPU | CUDA_FOR_JAX,
    "gpu": {"tensorflow-cpu"} | CUDA_FOR_JAX,
    "gpu-jax": OF_GPU,
}
"""Lock file -> packages of another one that are removed, because steps would use them."""


def main(arguments: Sequence[str]) -> int:
    if arguments[0] == "--download":
        return _pip("download", "--dest", arguments[1], "--only-binary", ":all:", *_options(arguments[2:]))
    if code := _remove({name for lock in arguments for name in NOT_BESIDE.get(Path(lock).stem, ())}):
        return code
    return _pip("install", *_options(arguments))


def _options(locks: Sequence[str]) -> list[str]:
    locked = [word for lock in locks for word in ("-r", lock)]
    return ["--progress-bar", "off", "--require-hashes", *locked]


def _pip(*arguments: str) -> int:
    """Runs pip, shows what it gets, and returns its exit code."""
    said: list[str] = []
    with subprocess.Popen(
        [*PIP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if text := shown(line):
                print(text, flush=True)
    if process.returncode:
        print("".join(said[-MOST_SHOWN:]), end="", file=sys.stderr)
    return process.returncode


def shown(line: str) -> str:
    """What a line of pip's output says to a person; "" for nothing."""
    if found := FETCHED.match(line):
        return f"  {found[1]} {found[2] or ''}".rstrip()
    if line.startswith("Installing collected packages:"):
        return f"installing {line.count(',') + 1} packages; this takes a minute or two"
    return ""


def _remove(names: set[str]) -> int:
    """Removes those of these packages that are installed. Returns pip's exit code."""
    there = {name for name in names if any(True for _ in metadata.distributions(name=name))}
    if there & (OF_CPU | OF_GPU):  # with one, files of the other are gone
        there |= OF_CPU | OF_GPU
    return subprocess.run([*PIP, "uninstall", "--quiet", "--yes", *sorted(there)]).returncode if there else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
