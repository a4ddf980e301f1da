"""Looks at the Docker engine: whether steps can run in containers here, and what to do where they cannot."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from runner import docker_api, images, machine, words
from runner.engines import Job, docker
from runner.errors import UserError
from runner.finding import Finding

if TYPE_CHECKING:
    from docker.models.images import Image

LABEL = "org.floodrunner.doctor"
"""Of the container that tries the GPU; a doctor that was killed may leave one, the next removes it."""

_NEED_BYTES = {images.CPU: 3e9, images.GPU: 12e9}
_LITTLE_MEMORY = 4e9
_TENSORFLOW_LACKS = 12.0
_TRIAL_TIMEOUT_S = 120
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
      root: the folder that holds `stages/` and `segmentation/`.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        info = docker_api.info()
        yield from _engine(info)
        if info.get("OSType") == "windows":
            return
        yield _owner()
        yield _size(info)
        for kind in images.CPU, images.GPU:
            yield from _image(kind, root)
        yield from _room(info)
        yield from _gpu(root)
    except UserError as error:
        text, _, advice = str(error).rpartition("; ")
        yield Finding("note", text, f"{_without_engine() or advice}; without it steps run here (--engine local)")
    except (DockerException, RequestException) as error:
        yield Finding("note", f"the Docker engine stopped answering: {_words(error)}", "restart Docker")


def _without_engine() -> str:
    """What to install, where that is more than Docker."""
    if machine.wsl_version() == 1:
        return "Docker needs WSL 2"
    if machine.is_wsl() and not os.environ.get("DOCKER_HOST") and not docker_api.SOCKET.exists():
        return (
            "install Docker Desktop in Windows and switch on its WSL integration for this distribution (Settings, "
            "Resources), or install Docker in here"
        )
    return ""


def _engine(info: dict[str, Any]) -> Iterator[Finding]:
    text = f"Docker {info.get('ServerVersion')} at {docker_api.address()} ({info.get('OperatingSystem')})"
    if info.get("OSType") == "windows":
        yield Finding("note", f"{text} runs Windows containers", "switch Docker Desktop to Linux containers")
    else:
        yield Finding("ok", text)


def _owner() -> Finding:
    """Whose the files are that a step in a container writes."""
    how = f"steps run as this user ({os.getuid()}:{os.getgid()})"
    if docker_api.has_security("rootless"):
        how = "the engine is rootless: root in a container is this user outside"
    elif docker_api.has_security("userns"):
        how += ", without the engine's userns-remap"
    if docker_api.has_security("selinux"):
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
    facts = f"{image.id.removeprefix('sha256:')[:12]}, {words.size(image.attrs['Size'])}, for {_backend(image)}"
    if trouble:
        yield Finding("note", f"{reason} ({facts})", advice)
    else:
        yield Finding("ok", f"image {images.name(kind)}: {facts}, holds this source")


def _backend(image: Image) -> str:
    return images.variables(image).get("KERAS_BACKEND", "tensorflow")


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


def _gpu(root: Path) -> Iterator[Finding]:
    if not machine.gpus():
        return
    request = docker_api.gpu_request()
    if request is None:
        yield Finding("note", "containers are not given this machine's GPU", _toolkit())
        return
    means = "CDI" if request["Driver"] == "cdi" else "the NVIDIA runtime"
    image = images.find(images.GPU)
    if image is None or images.trouble(images.GPU, root):
        yield Finding("ok", f"containers are given the GPU by {means}; not tried, for want of a usable image")
        return
    capabilities = [float(text) for text in machine.nvidia_smi("compute_cap") if text.replace(".", "", 1).isdigit()]
    if _backend(image) == "tensorflow" and capabilities and max(capabilities) >= _TENSORFLOW_LACKS:
        text = f"TensorFlow, which {images.name(images.GPU)} is for, lacks this GPU's compute capability"
        yield Finding("note", f"{text} ({max(capabilities)})", "floodrunner build --gpu --backend jax")
        return
    yield _tried(image)


def _toolkit() -> str:
    """What to install so that containers are given the GPU."""
    toolkit = (
        "install the NVIDIA container toolkit, then sudo nvidia-ctk runtime configure --runtime=docker, and restart "
        "Docker"
    )
    if not machine.is_wsl():
        return toolkit
    return f"use Docker Desktop, or {toolkit} (all in this distribution; the driver stays in Windows alone)"


def _tried(image: Image) -> Finding:
    """Has the GPU compute something in a container."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        code, out, err = _trial(image)
    except DockerException as error:
        gives_none = re.search("device driver|nvidia|CDI", _words(error))
        advice = _toolkit() if gives_none else "restart Docker, and try again"
        return Finding("note", f"a container with the GPU does not start: {_words(error)}", advice)
    except RequestException as error:
        if "timed out" not in str(error):
            raise
        text = f"the GPU did not answer from a container within {_TRIAL_TIMEOUT_S} s"
        return Finding("note", text, "look at nvidia-smi for what keeps it busy; restart the machine")
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if code not in (0, 1) or not lines:
        last = (err.strip().splitlines() or ["no output"])[-1]
        text = f"trying the GPU in a container ended with exit code {code}: {last}"
        return Finding("note", text, "update the NVIDIA driver, and build the image again: floodrunner build --gpu")
    report = json.loads(lines[-1])
    if not report["right"]:
        text, _, advice = report["reason"].rpartition("; ")
        if complaint := re.search(r".*(dlopen|cuInit|Unable to initialize backend|[Cc]ould not load).*", err):
            text = f"{text} ({' '.join(complaint[0].split())})"
        return Finding("note", f"GPU in a container: {text}", advice)
    devices = [f"{each['name']} (compute capability {each['compute_capability']})" for each in report["devices"]]
    built = ", ".join(
        [f"driver {report['driver']}"] * bool(report["driver"]) + [f"{k} {v}" for k, v in report["cuda"].items()]
    )
    errors = ", ".join(f"{operation} differs by {error:.0e}" for operation, error in report["errors"].items())
    return Finding("ok", f"the GPU computes in containers: {', '.join(devices)}; {built}; {errors} from the CPU's")


def _trial(image: Image) -> tuple[int, str, str]:
    """Runs `python -m stages._gpu` in a container that is made as a step's, but for its folders, and removes it.

    Returns:
      Exit code, standard output, standard error.
    """
    client, label = docker_api.connect(), f"{LABEL}={images.name(images.GPU)}"
    for left in client.containers.list(all=True, filters={"label": label, "status": "exited"}):
        left.remove(force=True, v=True)
    job = Job(
        step="try-gpu",
        stage="",
        params={},
        inputs={},
        outputs={},
        folder=Path("/floodrunner/doctor"),
        gpu=True,
        network=False,
        shm_mib=0,
        program="",
        fingerprint="",
    )
    settings = docker.settings(job, gpu=True)
    settings["environment"] |= {"TF_CPP_MIN_LOG_LEVEL": "1"}  # with its warnings: which library it did not find
    settings |= {"labels": [label], "mounts": [], "working_dir": "/"}
    entrypoint = [*image.attrs["Config"]["Entrypoint"][:-1], "stages._gpu"]
    container = client.containers.create(image.id, entrypoint=entrypoint, **settings)
    try:
        container.start()
        code = int(container.wait(timeout=_TRIAL_TIMEOUT_S)["StatusCode"])
        out, err = (container.logs(stdout=each, stderr=not each).decode(errors="replace") for each in (True, False))
        return code, out, err
    finally:
        container.remove(force=True, v=True)


def _words(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())
