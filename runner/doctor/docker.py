"""Examines the Docker engine: whether steps can run in containers here, and what to do if they cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from floodrunner.runner import machine, words
from floodrunner.runner.doctor import gpu
from floodrunner.runner.doctor.finding import Finding
from floodrunner.runner.engines.docker import client, disk, images, limits
from floodrunner.runner.errors import UserError

_LITTLE_MEMORY = 4e9


def usable(root: Path) -> bool:
    """Whether steps can run in the CPU image. If so, the packages that stages use need not be installed here."""
    try:
        return not images.trouble(images.CPU, root)
    except UserError:
        return False


def examine(root: Path) -> Iterator[Finding]:
    """Yields all findings, in the order in which a person would look. Only the last may take longer than a second.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        info = client.info()
        yield from _engine(info)
        if info.get("OSType") == "windows":
            return
        yield _owner()
        yield _size(info)
        for kind in images.CPU, images.GPU:
            yield from _image(kind, root)
        yield from _room()
        yield from gpu.in_containers(root)
    except UserError as error:
        text, _, advice = str(error).rpartition("; ")
        yield Finding(
            "note", text, f"{_without_engine() or advice}; without Docker, steps run as processes (--engine local)"
        )
    except (DockerException, RequestException) as error:
        yield Finding("note", f"the Docker engine stopped answering: {client.reason(error)}", "restart Docker")


def _without_engine() -> str:
    """Advice for a machine with WSL, where the usual advice to install Docker is not enough; "" on other machines."""
    if machine.wsl_version() == 1:
        return "Docker needs WSL 2"
    if machine.is_wsl() and not os.environ.get("DOCKER_HOST") and not client.SOCKET.exists():
        return (
            "install Docker Desktop in Windows and switch on its WSL integration for this distribution (Settings, "
            "Resources), or install Docker in this distribution"
        )
    return ""


def _engine(info: dict[str, Any]) -> Iterator[Finding]:
    text = f"Docker {info.get('ServerVersion')} at {client.address()} ({info.get('OperatingSystem')})"
    if info.get("OSType") == "windows":
        yield Finding("note", f"{text} runs Windows containers", "switch Docker Desktop to Linux containers")
    else:
        yield Finding("ok", text)


def _owner() -> Finding:
    """Which user owns the files that a step in a container writes."""
    how = f"steps run as this user ({os.getuid()}:{os.getgid()})"
    if client.has_security("rootless"):
        how = "the engine is rootless, so root in a container is this user outside"
    elif client.has_security("userns"):
        how += ", without the engine's userns-remap"
    if client.has_security("selinux"):
        how += ", without SELinux labels, which would hide mounted files"
    return Finding("ok", f"containers: {how}; the files that steps write belong to this user")


def _size(info: dict[str, Any]) -> Finding:
    """Processors and memory of the engine, which may run in a virtual machine that has less than this machine."""
    processors, memory = int(info.get("NCPU") or 0), float(info.get("MemTotal") or 0)
    text = f"containers have {processors} processors, {words.size(memory)} of memory, of which {limits.by_default()}"
    total = psutil.virtual_memory().total
    where = "memory= and processors= in .wslconfig" if machine.is_wsl() else "Docker Desktop's Settings, Resources"
    if memory < total / 2 or processors < (os.cpu_count() or 1) / 2:
        of = f"{os.cpu_count()} processors, {words.size(total)}"
        return Finding("note", f"{text}, less than half of this machine's ({of})", f"give containers more: {where}")
    if memory < _LITTLE_MEMORY:
        return Finding("note", text, "process a small box_xyz, or use a machine with more memory")
    return Finding("ok", text)


def _image(kind: str, root: Path) -> Iterator[Finding]:
    image, trouble = images.find(kind), images.trouble(kind, root)
    reason, _, advice = trouble.rpartition("; ")
    if image is None:
        if kind == images.CPU or machine.gpus():
            yield Finding("note", reason, advice)
        return
    facts = f"{image.id.removeprefix('sha256:')[:12]}, {words.size(image.attrs['Size'])}, for {images.backend(image)}"
    if trouble:
        yield Finding("note", f"{reason} ({facts})", advice)
    else:
        yield Finding("ok", f"image {images.name(kind)}: {facts}, contains this source")


def _room() -> Iterator[Finding]:
    """Checks whether the engine's disk has room for the missing images; yields nothing if the disk cannot be seen."""
    room = disk.room([images.CPU, *([images.GPU] if machine.gpus() else [])])
    if room is None:
        return
    text = f"Docker's disk ({room.folder}): {words.size(room.free)} free"
    if room.needed:
        text += f", building the missing images takes about {words.size(room.needed)}"
    if room.free < room.needed:
        advice = "free some space: docker image prune and docker builder prune remove unused data"
        yield Finding("note", text, advice)
    else:
        yield Finding("ok", text)
