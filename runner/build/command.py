"""Makes the command lines that build images: finds the docker command's builder, and lists its arguments."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from floodrunner.runner.errors import UserError

_BUILDKIT_INSIDE_BEFORE = 23
"""First version of the docker command that uses BuildKit only through its plugin buildx."""


class Builder(NamedTuple):
    """A way to build images.

    Attributes:
      name: what messages call this builder.
      command: the first words of the command line, before the options that all builders share.
      environment: variables that select this builder.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def docker() -> str:
    """The path of the docker command.

    Raises:
      UserError: if the docker command is not installed.
    """
    found = shutil.which("docker")
    if found is None:
        raise UserError("there is no docker command on PATH; install Docker's command line, which builds images")
    return found


def builder() -> Builder:
    """The best builder of the docker command: its plugin buildx, else its own BuildKit, else the classic builder.

    Raises:
      UserError: if there is no docker command.
    """
    command = docker()
    if _answer(command, "buildx", "version") is not None:
        # "default" is the engine itself; another builder would see neither the engine's images nor its cache.
        buildx = (command, "buildx", "build", "--builder", "default", "--load")
        return Builder("docker buildx", buildx, {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"})
    version = re.match(r"Docker version (\d+)\.", _answer(command, "--version") or "")
    if version and int(version[1]) < _BUILDKIT_INSIDE_BEFORE:
        return Builder("BuildKit", (command, "build"), {"DOCKER_BUILDKIT": "1"})
    return Builder("the classic builder", (command, "build", "--force-rm"), {"DOCKER_BUILDKIT": "0"})


def arguments(
    builder: Builder,
    root: str,
    dockerfile: str,
    tag: str,
    args: Mapping[str, str],
    labels: Mapping[str, str],
    network: str,
    cache: bool,
) -> tuple[str, ...]:
    """The whole command line of a build.

    Args:
      root: folder of the build context.
      dockerfile: path of the Dockerfile.
      args: the Dockerfile's build arguments.
      network: the network that the commands in the Dockerfile use, `default` or `host`.
      cache: whether layers of previous builds may be used.
    """
    options = ["--file", dockerfile, "--tag", tag, "--network", network]
    for name, value in sorted(args.items()):
        options += ["--build-arg", f"{name}={value}"]
    for name, value in sorted(labels.items()):
        options += ["--label", f"{name}={value}"]
    return (*builder.command, *options, *(() if cache else ("--no-cache",)), root)


def _answer(*command: str) -> str | None:
    """Standard output of a command; None if it fails."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout
