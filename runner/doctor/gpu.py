"""Examines the GPU: whether this machine has one, whether containers can use it, and whether it computes in them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from floodrunner.contract.gpu import needs_jax
from floodrunner.runner import machine, words
from floodrunner.runner.doctor.finding import Finding
from floodrunner.runner.engines import docker
from floodrunner.runner.engines.base import Job
from floodrunner.runner.engines.docker import client as docker_api
from floodrunner.runner.engines.docker import images
from floodrunner.runner.step_options import StepOptions

if TYPE_CHECKING:
    from docker.models.images import Image

LABEL = "org.floodrunner.doctor"
"""Label of the container that tests the GPU. If `doctor` is killed, the next `doctor` removes the container."""

_OLDEST_DRIVER, _OLDEST_DRIVER_WINDOWS = "525.60.13", "528.33"
"""Oldest drivers that run all of CUDA 12.

Source: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes, "Minor Version Compatibility".
"""
_TRIAL_TIMEOUT_S = 120


def of_machine() -> Finding:
    """Reports the GPUs of this machine and NVIDIA's driver."""
    gpus, driver, trouble = machine.nvidia()
    where = "in Windows (not in Linux)" if machine.is_wsl() else "of this system"
    if not gpus:
        advice = (
            "everything runs on the CPU, where training a large network takes days; if there is an NVIDIA card, "
            f"install the driver {where} again, or restart the machine"
        )
        return Finding("note", f"no NVIDIA GPU found ({trouble})", advice)
    names = "; ".join(f"{gpu.name}, {words.size(gpu.memory_bytes)}" for gpu in gpus)
    text, oldest = f"GPU: {names}; driver {driver}", _OLDEST_DRIVER_WINDOWS if machine.is_wsl() else _OLDEST_DRIVER
    if _version(driver) and _version(driver) < _version(oldest):
        advice = f"update the NVIDIA driver {where}: CUDA 12 needs {oldest} or later"
        return Finding("note", f"{text} is too old for the GPU image", advice)
    return Finding("ok", text)


def in_containers(root: Path) -> Iterator[Finding]:
    """Checks whether containers can use the GPU. If the GPU image is usable, tests the GPU in a container.

    Raises:
      UserError: if the engine does not answer.
    """
    if not machine.gpus():
        return
    request = docker_api.gpu_request()
    if request is None:
        yield Finding("note", "containers cannot use this machine's GPU", _toolkit())
        return
    means = "CDI" if request["Driver"] == "cdi" else "the NVIDIA runtime"
    image = images.find(images.GPU)
    if image is None or images.trouble(images.GPU, root):
        yield Finding("ok", f"containers get the GPU through {means}; not tested, because there is no usable GPU image")
        return
    newest = machine.capability()
    if images.backend(image) == "tensorflow" and needs_jax(newest):
        text = f"{images.name(images.GPU)} is built for TensorFlow, which has no code for this GPU's compute capability"
        yield Finding("trouble", f"{text} ({newest[0]}.{newest[1]})", "floodrunner build --gpu --backend jax")
        return
    yield _tried(image)


def _toolkit() -> str:
    """What to install so that containers can use the GPU."""
    toolkit = (
        "install the NVIDIA container toolkit, then sudo nvidia-ctk runtime configure --runtime=docker, and restart "
        "Docker"
    )
    if not machine.is_wsl():
        return toolkit
    return f"use Docker Desktop, or {toolkit} (the toolkit in this distribution, the driver only in Windows)"


def _tried(image: Image) -> Finding:
    """Tests the GPU in a container. If the test fails, steps that ask for a GPU fail too."""
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
        return Finding("trouble", text, "nvidia-smi shows what keeps the GPU busy; end it, or restart the machine")
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if code not in (0, 1) or not lines:
        last = (err.strip().splitlines() or ["no output"])[-1]
        text = f"testing the GPU in a container ended with exit code {code}: {last}"
        return Finding("trouble", text, "update the NVIDIA driver, and build the image again (floodrunner build --gpu)")
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
    return Finding("ok", f"the GPU computes in containers: {', '.join(devices)}; {built}; {errors} from the CPU")


def _trial(image: Image) -> tuple[int, str, str]:
    """Runs `python -m floodrunner.stages._gpu` in a container, and removes the container.

    The container has the options of a step's container, but none of a step's folders.

    Returns:
      Exit code, standard output, standard error.
    """
    from docker.errors import NotFound

    client = docker_api.connect()
    ended = {"label": LABEL, "status": ["created", "exited", "dead"]}  # one that runs may belong to another doctor
    for orphan in client.containers.list(all=True, ignore_removed=True, filters=ended):
        with contextlib.suppress(NotFound):
            orphan.remove(v=True)
    job = Job(
        step="try-gpu",
        stage="",
        params={},
        inputs={},
        outputs={},
        folder=Path("/floodrunner/doctor"),
        options=StepOptions(gpu=True),
        program="",
        fingerprint="",
    )
    settings = docker.settings(job, gpu=True)
    settings["environment"] |= {"TF_CPP_MIN_LOG_LEVEL": "1"}  # makes TensorFlow name the libraries that it did not find
    settings |= {"labels": {LABEL: images.name(images.GPU)}, "mounts": [], "working_dir": "/"}
    entrypoint = [*image.attrs["Config"]["Entrypoint"][:-1], "floodrunner.stages._gpu"]
    container = client.containers.create(image.id, entrypoint=entrypoint, **settings)
    try:
        container.start()
        code = int(container.wait(timeout=_TRIAL_TIMEOUT_S)["StatusCode"])
        out, err = (container.logs(stdout=each, stderr=not each).decode(errors="replace") for each in (True, False))
        return code, out, err
    finally:
        container.remove(force=True, v=True)


def _version(text: str) -> tuple[int, ...]:
    """`550.54.15` -> (550, 54, 15); () if the text is not a version."""
    return tuple(map(int, text.split("."))) if re.fullmatch(r"\d+(\.\d+)+", text) else ()
