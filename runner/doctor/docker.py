"""Looks at the Docker engine: whether steps can run in containers here, and what to do where they cannot."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from runner import machine, words
from runner.doctor import gpu
from runner.doctor.finding import Finding
from runner.engines.docker import client, images
from runner.errors import UserError

_NEED_BYTES = {images.CPU: 3e9, images.GPU: 12e9}
_LITTLE_MEMORY = 4e9
_CONTAINERD = Path("/var/lib/containerd")


def usable(root: Path) -> bool:
    """Whether steps can run in the CPU image, so that this machine needs no packages for them."""
    try:
        return not images.trouble(images.CPU, root)
    except UserError:
        return False


def examine(root: Path) -> Iterator[Finding]:
    """All findings, in the order in which a person would look; only the last may take longer than a second.

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
        yield from _room(info)
        yield from gpu.in_containers(root)
    except UserError as error:
        text, _, advice = str(error).rpartition("; ")
        yield Finding("note", text, f"{_without_engine() or advice}; without it steps run here (--engine local)")
    except (DockerException, RequestException) as error:
        yield Finding("note", f"the Docker engine stopped answering: {client.reason(error)}", "restart Docker")


def _without_engine() -> str:
    """What to install, where that is more than Docker."""
    if machine.wsl_version() == 1:
        return "Docker needs WSL 2"
    if machine.is_wsl() and not os.environ.get("DOCKER_HOST") and not client.SOCKET.exists():
        return (
            "install Docker Desktop in Windows and switch on its WSL integration for this distribution (Settings, "
            "Resources), or install Docker in here"
        )
    return ""


def _engine(info: dict[str, Any]) -> Iterator[Finding]:
    text = f"Docker {info.get('ServerVersion')} at {client.address()} ({info.get('OperatingSystem')})"
    if info.get("OSType") == "windows":
        yield Finding("note", f"{text} runs Windows containers", "switch Docker Desktop to Linux containers")
    else:
        yield Finding("ok", text)


def _owner() -> Finding:
    """Whose the files are that a step in a container writes."""
    how = f"steps run as this user ({os.getuid()}:{os.getgid()})"
    if client.has_security("rootless"):
        how = "the engine is rootless: root in a container is this user outside"
    elif client.has_security("userns"):
        how += ", without the engine's userns-remap"
    if client.has_security("selinux"):
        how += ", without SELinux's labels, which would hide mounted files"
    return Finding("ok", f"containers: {how}; what they write is this user's")


def _size(info: dict[str, Any]) -> Finding:
    """The engine may be in a virtual machine, which has less than this one."""
    processors, memory = int(info.get("NCPU") or 0), float(info.get("MemTotal") or 0)
    text = f"containers have {processors} processors, {words.size(memory)} of memory"
    total = psutil.virtual_memory().total
    where = "memory= and processors= in .wslconfig" if machine.is_wsl() else "Docker Desktop's Settings, Resources"
    if memory < total / 2 or processors < (os.cpu_count() or 1) / 2:
        of = f"{os.cpu_count()} processors, {words.size(total)}"
        return Finding("note", f"{text}, less than half of this machine's ({of})", f"give them more: {where}")
    if memory < _LITTLE_MEMORY:
        return Finding("note", text, "work on a small box_xyz, or use a machine with more")
    return Finding("ok", text)


def _image(kind: str, root: Path) -> Iterator[Finding]:
    image, trouble = images.find(kind), images.trouble(kind, root)
    reason, _, advice = trouble.rpartition("; ")
    if image is None:
        if kind == images.CPU or machine.gpus():
            yield Finding("note", reason, advice)
        return
    facts = f"{image.id.removeprefix('sha256:')[:12]}, {words.size(image.attrs['Size'])}, for {gpu.backend(image)}"
    if trouble:
        yield Finding("note", f"{reason} ({facts})", advice)
    else:
        yield Finding("ok", f"image {images.name(kind)}: {facts}, holds this source")


def _room(info: dict[str, Any]) -> Iterator[Finding]:
    """Free disk against what building takes; nothing where the engine's disk cannot be seen from here."""
    snapshots = any("io.containerd.snapshotter" in str(pair) for pair in info.get("DriverStatus") or [])
    folder = _CONTAINERD if snapshots and _CONTAINERD.is_dir() else Path(info.get("DockerRootDir") or "")
    if info.get("Name") != platform.node() or not folder.is_dir():
        return
    need, free = 0.0, shutil.disk_usage(folder).free
    for kind in [images.CPU, *([images.GPU] if machine.gpus() else [])]:
        image = images.find(kind)
        need += float(image.attrs["Size"]) if image else _NEED_BYTES[kind]
    text = f"Docker's disk ({folder}): {words.size(free)} free, building the images takes about {words.size(need)}"
    if free < need:
        yield Finding(
            "note", text, "free some space: docker image prune and docker builder prune remove what is unused"
        )
    else:
        yield Finding("ok", text)
