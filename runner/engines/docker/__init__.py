"""Runs a stage in a container of the Docker engine, with the user id of the caller and only the rights that it needs.

Images are found and chosen here; they are built in `runner/build/`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodrunner.contract.codes import DONE
from floodrunner.contract.job import JOB_FILE, LOG_FILE
from floodrunner.runner import machine
from floodrunner.runner.engines.base import InputRefused, Job, Orphan
from floodrunner.runner.engines.docker import client, containers, images, limits, mounts
from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import write_json

if TYPE_CHECKING:
    from docker.models.containers import Container

_HOME = "/tmp"
_WHOLE_LOG = {"max-size": "1t"}  # nothing is dropped: a runner that takes over a container copies its whole log
_BACKENDS = ("tensorflow", "jax")
_CUDA_CHOICE = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
_LOCKING = ("HDF5_USE_FILE_LOCKING",)  # users of some network file systems have to switch it off


def unavailable(jobs: Sequence[Job], root: Path) -> str:
    try:
        client.connect()
        for kind in dict.fromkeys(_kind(job.options.gpu) for job in jobs):
            if trouble := images.trouble(kind, root):
                return trouble
            if trouble := _other_backend(kind):
                return trouble
        for job in jobs:
            mounts.readable(job)
            mounts.writable(job)
    except InputRefused:
        raise
    except UserError as error:
        return str(error)
    return ""


def identity(gpu: bool) -> dict[str, str]:
    """What identifies the image's contents (system, Python, packages). The source is hashed for each stage."""
    kind = _kind(gpu)
    image = images.get(kind)
    return {
        "engine": "docker",
        "backend": images.backend(image),
        "image": f"{kind} {images.environment(image)[:12]}",
    }


def facts(jobs: Sequence[Job]) -> dict[str, Any]:
    """Address and version of the engine, and the ids of the images."""
    kinds = sorted({_kind(job.options.gpu) for job in jobs})
    return {
        "address": client.address(),
        "version": client.info()["ServerVersion"],
        "images": {images.name(kind): images.get(kind).id for kind in kinds},
    }


def no_gpu() -> str:
    if client.gpu_request() is not None:
        return ""
    return "no GPU for containers" if machine.gpus() else "no GPU found"


def notes(job: Job) -> list[str]:
    ignored = limits.ignored(job.options)
    return [*mounts.readable(job).remarks, *([f"{job.step}: {ignored}"] if ignored else [])]


def orphans(workdir: Path) -> list[Orphan]:
    return [
        Orphan(
            each.labels[containers.STEP],
            f"container {each.name}",
            each.status in containers.AT_WORK,
            functools.partial(_adopt, each),
        )
        for each in containers.of_run(workdir)
    ]


def _adopt(container: Container, job: Job) -> containers.Running | None:
    """Takes over a container that is doing exactly this job, or has finished it successfully; None for any other."""
    ended_well = container.status == "exited" and container.attrs["State"]["ExitCode"] == DONE
    same = container.labels.get(containers.FINGERPRINT) == job.fingerprint
    return containers.Running(container, job.folder) if same and (container.status == "running" or ended_well) else None


def reclaim(folder: Path) -> None:
    for container in containers.of_run(folder.parent, folder.name):
        containers.end(container)
    containers.check_lock(folder)


def start(job: Job, root: Path) -> containers.Running:
    kind = _kind(job.options.gpu)
    if trouble := images.trouble(kind, root):  # the source may have changed since the run began
        images.find.cache_clear()
        if images.trouble(kind, root):
            raise UserError(f"step {job.step}: {trouble}, then run again")
        raise UserError(
            f"step {job.step}: the image {images.name(kind)} was built again since this run began; run again"
        )
    write_json(job.folder / JOB_FILE, job.described(gpu=kind == images.GPU))
    image = images.get(kind)
    with _in_words(job, images.name(kind)):
        container = client.connect().containers.create(image.id, [str(job.folder)], **settings(job, kind == images.GPU))
        try:
            container.start()
        except BaseException:
            with contextlib.suppress(Exception):  # report the first error, not this one
                container.remove(force=True, v=True)
            raise
    return containers.Running(container, job.folder)


def settings(job: Job, gpu: bool) -> dict[str, Any]:
    """The options of a step's container, as arguments of the SDK's `containers.create`.

    The step runs as its caller's user and groups, without capabilities and without a network. It can write only to its
    folder and to a `/tmp` in memory, and its memory and processes are limited. Under a rootless engine, root in the
    container is the caller outside.
    """
    from docker.types import LogConfig, Mount

    readable = mounts.readable(job).mounts
    bind = [Mount(str(inside), str(outside), type="bind", read_only=True) for inside, outside in readable.items()]
    bind.append(Mount(str(job.folder), str(mounts.writable(job)), type="bind"))
    user, groups = f"{os.getuid()}:{os.getgid()}", sorted({*os.getgroups()} - {os.getgid()})
    if client.has_security("rootless"):
        user, groups = "0:0", []
    security = ["no-new-privileges:true"]
    if client.has_security("selinux"):
        security.append("label=disable")  # SELinux would hide mounted files; we must not relabel a user's data
    request, run = client.gpu_request() if gpu else None, job.folder.parent
    return {
        "name": re.sub(r"[^\w.-]", "-", f"floodrunner-{run.name}-{job.step}-{secrets.token_hex(3)}", flags=re.ASCII),
        "labels": {
            containers.RUN: containers.run_name(run),
            containers.STEP: job.step,
            containers.FINGERPRINT: job.fingerprint,
            containers.LOG_START: str(_size(job.folder / LOG_FILE)),
        },
        "user": user,
        "group_add": groups,
        "userns_mode": "host" if client.has_security("userns") else None,
        "environment": {
            "HOME": _HOME,
            "USER": _user_name(),
            "KERAS_HOME": f"{_HOME}/.keras",
            "PYTHONUNBUFFERED": "1",
            "FLOODRUNNER_LOCK": str(job.folder / containers.LOCK_FILE),
            **{name: os.environ[name] for name in (*_LOCKING, *(_CUDA_CHOICE if gpu else ())) if name in os.environ},
        },
        "working_dir": str(job.folder),
        "mounts": bind,
        **limits.settings(job.options),
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": security,
        "network_mode": "none",
        "device_requests": [request] if request else None,
        "init": True,  # an init process passes on signals from the first moment, and reaps the stage's processes
        "log_config": LogConfig(type=LogConfig.types.JSON, config=_WHOLE_LOG),
    }


def _kind(gpu: bool) -> str:
    return images.GPU if gpu and client.gpu_request() is not None else images.CPU


def _other_backend(kind: str) -> str:
    """Why KERAS_BACKEND cannot be obeyed: an image has only one backend. "" if it can be obeyed, or is not set."""
    wanted, there = os.environ.get("KERAS_BACKEND"), images.backend(images.get(kind))
    if not wanted or wanted == there:
        return ""
    instead = (
        f", or run floodrunner build --gpu --backend {wanted}" if kind == images.GPU and wanted in _BACKENDS else ""
    )
    return (
        f"KERAS_BACKEND is {wanted}, but the image {images.name(kind)} was built for {there}; "
        f"unset KERAS_BACKEND{instead}"
    )


@contextlib.contextmanager
def _in_words(job: Job, image: str) -> Iterator[None]:
    """Turns the SDK's errors at the start of a container into one line that says what to do."""
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException

    where = f"step {job.step}: the Docker engine at {client.address()}"
    try:
        yield
    except ImageNotFound:
        raise UserError(f"step {job.step}: the image {image} is no longer there; floodrunner build builds it") from None
    except (DockerException, RequestException) as error:
        text = client.reason(error)
        if "bind source path does not exist" in text:
            raise UserError(f"{where} does not see this machine's files: {text}; use --engine local") from None
        if "device driver" in text or "nvidia" in text or "CDI" in text:
            raise UserError(
                f"{where} cannot give the step a GPU: {text}; floodrunner doctor says what to install; "
                "with gpu: false in the pipeline, the step runs on the CPU"
            ) from None
        if "no space left" in text:
            raise UserError(f"{where} has a full disk; docker system df shows what fills it; {text}") from None
        raise UserError(f"{where} could not start a container: {text}; floodrunner doctor says more") from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # the user id has no name, as on some clusters
        return "user"
