"""Looks at the GPU: whether this machine has one, whether containers are given it, and whether it computes there."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runner import machine
from runner.doctor.finding import Finding
from runner.engines import docker
from runner.engines.base import Job
from runner.engines.docker import client as docker_api
from runner.engines.docker import images

if TYPE_CHECKING:
    from docker.models.images import Image

LABEL = "org.floodrunner.doctor"
"""Of the container that tries the GPU; a doctor that was killed may leave one, the next removes it."""

_OLDEST_DRIVER, _OLDEST_DRIVER_WINDOWS = "525.60.13", "528.33"
"""For all of CUDA 12: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes, "Minor Version Compatibility"."""
_TENSORFLOW_LACKS = 12.0  # compute capability of RTX 50 cards, and all that came later
_TRIAL_TIMEOUT_S = 120


def of_machine() -> Finding:
    """The GPU and its driver, as nvidia-smi has them."""
    rows = machine.nvidia_smi("name,memory.total,driver_version")
    if rows:
        oldest = _OLDEST_DRIVER_WINDOWS if machine.is_wsl() else _OLDEST_DRIVER
        text, driver = f"GPU: {'; '.join(rows)}", rows[0].rpartition(",")[2].strip()
        if _version(driver) and _version(driver) < _version(oldest):
            where = "in Windows (not in Linux)" if machine.is_wsl() else "of the system"
            advice = f"update the NVIDIA driver {where}: CUDA 12 needs {oldest} or later"
            return Finding("note", f"{text}: driver {driver} is too old for the GPU image", advice)
        return Finding("ok", text)
    names = machine.gpus()
    if names:
        advice = "nvidia-smi gives no answer: reinstall the NVIDIA driver, or restart the machine"
        return Finding("note", f"GPU: {', '.join(names)}", advice)
    advice = "everything runs on the CPU; training a large network takes days there"
    if machine.is_wsl():
        advice += "; if there is an NVIDIA card, install its driver in Windows (not in Linux)"
    return Finding("note", "no NVIDIA GPU found", advice)


def in_containers(root: Path) -> Iterator[Finding]:
    """Whether containers are given the GPU; with an image of this source, whether it computes in one, which takes long.

    Raises:
      UserError: if the engine does not answer.
    """
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
    if backend(image) == "tensorflow" and capabilities and max(capabilities) >= _TENSORFLOW_LACKS:
        text = f"TensorFlow, which {images.name(images.GPU)} is for, lacks this GPU's compute capability"
        yield Finding("trouble", f"{text} ({max(capabilities)})", "floodrunner build --gpu --backend jax")
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
    """Has the GPU compute something in a container; where it does not, steps that ask for one will fail."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        code, out, err = _trial(image)
    except DockerException as error:
        gives_none = re.search("device driver|nvidia|CDI", docker_api.reason(error))
        advice = _toolkit() if gives_none else "restart Docker, and try again"
        return Finding("trouble", f"a container with the GPU does not start: {docker_api.reason(error)}", advice)
    except RequestException as error:
        if "timed out" not in str(error):
            raise
        text = f"the GPU did not answer from a container within {_TRIAL_TIMEOUT_S} s"
        return Finding("trouble", text, "look at nvidia-smi for what keeps it busy; restart the machine")
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if code not in (0, 1) or not lines:
        last = (err.strip().splitlines() or ["no output"])[-1]
        text = f"trying the GPU in a container ended with exit code {code}: {last}"
        return Finding("trouble", text, "update the NVIDIA driver, and build the image again: floodrunner build --gpu")
    report = json.loads(lines[-1])
    if not report["right"]:
        text, _, advice = report["reason"].rpartition("; ")
        if complaint := re.search(r".*(dlopen|cuInit|Unable to (initialize backend|load)|[Cc]ould not load).*", err):
            text = f"{text} ({' '.join(complaint[0].split())})"
        return Finding("trouble", f"GPU in a container: {text}", advice)
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
    from docker.errors import NotFound

    client = docker_api.connect()
    ended = {"label": LABEL, "status": ["created", "exited", "dead"]}  # one that runs may be another doctor's
    for left in client.containers.list(all=True, ignore_removed=True, filters=ended):
        with contextlib.suppress(NotFound):
            left.remove(v=True)
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
    settings |= {"labels": {LABEL: images.name(images.GPU)}, "mounts": [], "working_dir": "/"}
    entrypoint = [*image.attrs["Config"]["Entrypoint"][:-1], "stages._gpu"]
    container = client.containers.create(image.id, entrypoint=entrypoint, **settings)
    try:
        container.start()
        code = int(container.wait(timeout=_TRIAL_TIMEOUT_S)["StatusCode"])
        out, err = (container.logs(stdout=each, stderr=not each).decode(errors="replace") for each in (True, False))
        return code, out, err
    finally:
        container.remove(force=True, v=True)


def backend(image: Image) -> str:
    """What an image computes with."""
    return images.variables(image).get("KERAS_BACKEND", "tensorflow")


def _version(text: str) -> tuple[int, ...]:
    """`550.54.15` -> (550, 54, 15); () if it is none."""
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d+(\.\d+)+", text) else ()
