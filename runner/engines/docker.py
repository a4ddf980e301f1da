"""Runs a stage in a container of the Docker engine: with the caller's rights, and no more than it needs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import secrets
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from runner import docker_api, images, machine, mounts, record
from runner.engines import Exit, Job, killed_by
from runner.errors import UserError
from stages import _contract

if TYPE_CHECKING:
    from docker.models.containers import Container

RUN, STEP, FOLDER, FINGERPRINT, LOG_START = (
    f"org.floodrunner.{name}" for name in ("run", "step", "folder", "fingerprint", "log-start")
)
"""Labels of a container; `docker ps --filter label=org.floodrunner.run` lists ours."""

_HOME = "/tmp"
_TIME_TO_SAVE_S = 60
_LOCK_FILE = ".container"
_LOG_LIMIT = {"max-size": "50m"}


def unavailable(jobs: Sequence[Job], root: Path) -> str:
    try:
        docker_api.connect()
        for kind in dict.fromkeys(_kind(job.gpu) for job in jobs):
            if trouble := images.trouble(kind, root):
                return trouble
            if trouble := _other_backend(kind):
                return trouble
        for job in jobs:
            mounts.readable(job)
            mounts.writable(job)
    except UserError as error:
        return str(error)
    return ""


def identity(gpu: bool) -> dict[str, str]:
    """The image without our source, which is hashed stage by stage; Python, packages and system are all in it."""
    kind = _kind(gpu)
    return {
        "engine": "docker",
        "backend": images.variables(images.get(kind)).get("KERAS_BACKEND", "tensorflow"),
        "image": f"{kind} {images.environment(images.get(kind))[:12]}",
    }


def facts(jobs: Sequence[Job]) -> dict[str, Any]:
    """Address and version of the engine, and the ids of the images."""
    kinds = sorted({_kind(job.gpu) for job in jobs})
    return {
        "address": docker_api.address(),
        "version": docker_api.info()["ServerVersion"],
        "images": {images.name(kind): images.get(kind).id for kind in kinds},
    }


def notes(jobs: Sequence[Job]) -> list[str]:
    wanting = [job.step for job in jobs if job.gpu and _kind(job.gpu) != images.GPU]
    if not wanting:
        return []
    what = "no GPU for containers" if machine.gpus() else "no GPU found"
    return [f"{what}: {', '.join(wanting)} will run on the CPU, which is slower (floodrunner doctor says more)"]


def reclaim(folder: Path) -> str:
    """Stops what a killed runner left, with time to save its state, and removes it."""
    ended = []
    for container in _left_behind(folder):
        if container.status == "running":
            ended.append(container.name)
            with _gone_is_fine():
                container.stop(timeout=_TIME_TO_SAVE_S)
        with _gone_is_fine():
            container.remove(force=True, v=True)
    if stuck := _left_behind(folder):
        name = stuck[0].name
        raise UserError(f"{folder}: container {name} cannot be removed; docker rm -f {name}, then run again")
    return f"stopped container {', '.join(ended)}, left by a run that was killed" if ended else ""


def adopt(job: Job) -> Running | None:
    """A container that a killed runner left and that does, or has done, this very job."""
    for container in _left_behind(job.folder):
        ended_well = container.status == "exited" and container.attrs["State"]["ExitCode"] == _contract.DONE
        if container.labels.get(FINGERPRINT) == job.fingerprint and (container.status == "running" or ended_well):
            return Running(container, job.folder)
    return None


def start(job: Job, root: Path) -> Running:
    gpu = _kind(job.gpu) == images.GPU
    contract_job = _contract.Job(
        stage=job.stage,
        params=job.params,
        inputs=job.inputs,
        outputs=job.outputs,
        state=str(job.folder / _contract.STATE),
        program=job.program,
        gpu=gpu,
    )
    record.write_json(job.folder / _contract.JOB_FILE, contract_job.model_dump(mode="json"))
    image = images.get(_kind(job.gpu))
    with _in_words(job, images.name(_kind(job.gpu))):
        container = docker_api.connect().containers.create(image.id, [str(job.folder)], **settings(job, gpu))
        try:
            container.start()
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong first is what counts
                container.remove(force=True, v=True)
            raise
    return Running(container, job.folder)


def settings(job: Job, gpu: bool) -> dict[str, Any]:
    """How a step's container is made, as the SDK takes it.

    The step has its caller's user and groups and no more rights than that, no network, nothing to write to but its
    folder and a `/tmp` in memory. Under a rootless engine root in the container is the caller outside.
    """
    from docker.types import LogConfig, Mount

    readable = mounts.readable(job).items()
    bind = [Mount(str(inside), str(outside), type="bind", read_only=True) for inside, outside in readable]
    bind.append(Mount(str(job.folder), str(mounts.writable(job)), type="bind"))
    user, groups = f"{os.getuid()}:{os.getgid()}", sorted({*os.getgroups()} - {os.getgid()})
    if docker_api.has_security("rootless"):
        user, groups = "0:0", []
    security = ["no-new-privileges:true"]
    if docker_api.has_security("selinux"):
        security.append("label=disable")  # else it hides mounted files; relabelling a user's data is not for us to do
    request, run = docker_api.gpu_request() if gpu else None, job.folder.parent
    return {
        "name": re.sub(r"[^\w.-]", "-", f"floodrunner-{run.name}-{job.step}-{secrets.token_hex(3)}", flags=re.ASCII),
        "labels": {
            RUN: str(run),
            STEP: job.step,
            FOLDER: _real(job.folder),
            FINGERPRINT: job.fingerprint,
            LOG_START: str(_size(job.folder / _contract.LOG_FILE)),
        },
        "user": user,
        "group_add": groups,
        "userns_mode": "host" if docker_api.has_security("userns") else None,
        "environment": {
            "HOME": _HOME,
            "USER": _user_name(),
            "KERAS_HOME": f"{_HOME}/.keras",
            "PYTHONUNBUFFERED": "1",
            "FLOODRUNNER_LOCK": str(job.folder / _LOCK_FILE),
        },
        "working_dir": str(job.folder),
        "mounts": bind,
        "tmpfs": {"/tmp": ""},
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": security,
        "network_mode": None if job.network else "none",
        "shm_size": f"{job.shm_mib}m" if job.shm_mib else None,
        "device_requests": [request] if request else None,
        "init": True,  # passes signals on from the first moment, and reaps helpers
        "log_config": LogConfig(type=LogConfig.types.JSON, config=_LOG_LIMIT),
    }


class Running:
    """A container at work. A thread of its own copies what it prints to `log.txt`, and waits for its end."""

    def __init__(self, container: Container, folder: Path) -> None:
        self._container = container
        self._log = folder / _contract.LOG_FILE
        self._exit: Future[Exit] = Future()
        Thread(target=self._follow, daemon=True).start()

    @property
    def name(self) -> str:
        return f"container {self._container.name}"

    def wait(self, seconds: float) -> Exit | None:
        try:
            return self._exit.result(seconds)
        except StillRunning:
            return None

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        with _gone_is_fine():
            self._container.remove(force=True, v=True)

    def _signal(self, number: signal.Signals) -> None:
        with _gone_is_fine():
            self._container.kill(signal=number.name)

    def _follow(self) -> None:
        from docker.errors import NotFound
        from requests.exceptions import RequestException

        try:
            self._copy_log()
            self._container.client.api.wait(self._container.id, timeout=None)
            self._container.reload()
            self._exit.set_result(_exit(self._container.attrs["State"]))
        except NotFound:
            self._exit.set_result(Exit(_contract.FAILED, "its container was removed by somebody else; run again"))
        except RequestException:
            text = f"the Docker engine at {docker_api.address()} is gone; start it and run again"
            self._exit.set_result(Exit(_contract.FAILED, text))
        except Exception as error:
            text = f"the Docker engine at {docker_api.address()} does not answer as it should: {_words(error)}"
            self._exit.set_result(Exit(_contract.FAILED, text))

    def _copy_log(self) -> None:
        """From the container's first line on: what a killed runner had copied of it is written once more."""
        with contextlib.suppress(OSError), open(self._log, "r+b") as file:  # a full disk: the stage meets it as well
            file.truncate(int(self._container.labels[LOG_START]))
            file.seek(0, os.SEEK_END)
            for block in self._container.logs(stream=True, follow=True):
                file.write(block)
                file.flush()


def _exit(state: dict[str, Any]) -> Exit:
    code = int(state["ExitCode"])
    if state.get("OOMKilled"):
        return Exit(code, "out of memory (the container was killed for it)")
    if state.get("Error"):
        return Exit(code, f"the Docker engine could not run it: {state['Error']}")
    signalled = code > 128 and code != _contract.INTERRUPTED
    return Exit(code, killed_by(code - 128) if signalled else "")


def _kind(gpu: bool) -> str:
    return images.GPU if gpu and docker_api.gpu_request() is not None else images.CPU


def _other_backend(kind: str) -> str:
    """The image decides about the back end; a user who asks for another must not be ignored."""
    wanted, there = os.environ.get("KERAS_BACKEND"), images.variables(images.get(kind)).get("KERAS_BACKEND")
    if not wanted or not there or wanted == there:
        return ""
    return (
        f"KERAS_BACKEND is {wanted}, the image {images.name(kind)} was built for {there}; unset KERAS_BACKEND, or "
        f"floodrunner build --gpu --backend {wanted}"
    )


def _left_behind(folder: Path) -> list[Container]:
    """The containers of a step's folder; none where no engine answers.

    Raises:
      UserError: if one outlives its engine, which was killed: nobody can end it, and it writes to that folder.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        found = docker_api.connect().containers.list(
            all=True, ignore_removed=True, filters={"label": f"{FOLDER}={_real(folder)}"}
        )
    except (UserError, DockerException, RequestException):
        if _is_held(folder / _LOCK_FILE):
            raise UserError(
                f"{folder}: a container is still at work there, and its Docker engine does not answer; start Docker, "
                "then run again"
            ) from None
        return []
    return list(found)


def _is_held(lock: Path) -> bool:
    """Whether a stage in a container holds its lock; the kernel lets go of it when the stage ends, however it ends."""
    try:
        with open(lock, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file; a file system without locks
        return False
    return False


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    """A container that has ended or was removed meanwhile, or an engine that is gone: `reclaim` sees to the rest."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with contextlib.suppress(DockerException, RequestException):
        yield


@contextlib.contextmanager
def _in_words(job: Job, image: str) -> Iterator[None]:
    """Why a container could not be started, as one line that says what to do."""
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException

    where = f"step {job.step}: the Docker engine at {docker_api.address()}"
    try:
        yield
    except ImageNotFound:
        raise UserError(f"step {job.step}: the image {image} is no longer there; floodrunner build makes it") from None
    except (DockerException, RequestException) as error:
        text = _words(error)
        if "bind source path does not exist" in text:
            raise UserError(f"{where} does not see this machine's files: {text}; use --engine local") from None
        if "device driver" in text or "nvidia" in text or "CDI" in text:
            raise UserError(
                f"{where} cannot give it a GPU: {text}; floodrunner doctor says what to install; "
                "gpu: false in the pipeline runs it on the CPU"
            ) from None
        if "no space left" in text:
            raise UserError(f"{where} has a full disk; docker system df says what fills it; {text}") from None
        raise UserError(f"{where} could not start it: {text}") from None


def _words(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())


def _real(folder: Path) -> str:
    """The one name of a folder, whether it is given relative, or through links."""
    return os.path.realpath(folder)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a uid without a name, as in some clusters
        return "user"
