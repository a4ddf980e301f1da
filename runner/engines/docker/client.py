"""The Docker engine of this machine: its address, a client for it, and what it offers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from floodrunner.runner import machine
from floodrunner.runner.errors import UserError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image
    from docker.types import DeviceRequest

SOCKET = Path("/var/run/docker.sock")
_CDI_FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
_ANSWERS_WITHIN_S = 10
_CDI_ALL = "nvidia.com/gpu=all"
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

_T = TypeVar("_T")


def address() -> str:
    """Address of the engine that the docker command would use, such as `unix:///var/run/docker.sock`.

    This is DOCKER_HOST, else the docker command's context, else the usual socket, else a rootless engine's socket.

    Raises:
      UserError: if there is no engine, or it is on another machine, or it requires TLS.
    """
    found, tls = os.environ.get("DOCKER_HOST"), bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not found:
        found, tls = _of_context()
    if not found:
        rootless = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")
        socket = next((path for path in (SOCKET, rootless) if path.exists()), None)
        if socket is None:
            raise UserError(f"no Docker engine at {SOCKET}; install or start Docker")
        return f"unix://{socket}"
    try:
        parts = urlsplit(found)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:  # for example, a bracket is missing or a port is too large
        raise UserError(f"DOCKER_HOST is not a valid address ({found}); correct or unset it") from None
    if scheme == "unix":
        return found
    if not scheme:
        raise UserError(f"DOCKER_HOST is not a valid address ({found}); correct or unset it")
    if scheme not in ("tcp", "http", "https") or host not in _THIS_MACHINE:
        raise UserError(
            f"the Docker engine at {found} is not on this machine and does not see its files; run Floodrunner there, "
            "or unset DOCKER_HOST (docker context use default)"
        )
    if tls or scheme == "https":
        raise UserError(
            f"the Docker engine at {found} requires TLS, which Floodrunner does not support; use the engine's socket: "
            "unset DOCKER_HOST (docker context use default)"
        )
    return found


@contextmanager
def in_words() -> Iterator[None]:
    """Turns any error of the SDK into one line that says what is wrong with the engine.

    Raises:
      UserError: for any error of the SDK. If an error such as ImageNotFound needs other treatment, code inside the
        block must catch it.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException, Timeout

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        where = f"the Docker engine at {address()}"
        if _explanation(error):
            raise UserError(f"{where} reports an error: {reason(error)}; restart Docker") from None
        if any(isinstance(each, Timeout | TimeoutError) for each in _causes(error)):
            raise UserError(f"{where} does not answer in time; restart Docker") from None
        raise UserError(f"{where} does not answer: {reason(error)}; start Docker") from None


def reason(error: BaseException) -> str:
    """The reason for an error, on one line: what the engine says, or what the system says about the engine's socket."""
    system = (each.strerror for each in _causes(error) if isinstance(each, OSError) and each.strerror)
    return " ".join(str(_explanation(error) or next(system, None) or error).split())


def _explanation(error: BaseException) -> str:
    return next((text for each in _causes(error) if (text := str(getattr(each, "explanation", None) or ""))), "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class once(Generic[_T]):
    """Like functools.cache, but also keeps a UserError, so that a process waits only once for an engine that hangs."""

    def __init__(self, function: Callable[..., _T]) -> None:
        self._function = function
        self._outcomes: dict[tuple[Any, ...], _T | UserError] = {}
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> _T:
        if arguments not in self._outcomes:
            try:
                self._outcomes[arguments] = self._function(*arguments)
            except UserError as error:
                self._outcomes[arguments] = error
        outcome = self._outcomes[arguments]
        if isinstance(outcome, UserError):
            raise UserError(str(outcome))
        return outcome

    def cache_clear(self) -> None:
        self._outcomes.clear()


@once
def connect() -> DockerClient:
    """A client for the engine, returned once the engine has answered.

    Raises:
      UserError: if the engine does not answer, or this user may not use it.
    """
    import docker

    # This client has the SDK's own time-out, because making a container takes longer than answering a question.
    return docker.DockerClient(base_url=address(), version=quick().api.api_version)


@once
def quick() -> DockerClient:
    """A client with a short time-out, for questions with a quick answer. Raises UserError like `connect`."""
    where = address()
    path = urlsplit(where).path
    if where.startswith("unix:"):
        if not os.path.exists(path):
            raise UserError(f"no Docker engine at {where}; start Docker")
        if not os.access(path, os.R_OK | os.W_OK):
            raise UserError(
                f"this user may not use the Docker engine at {where}; "
                f"run sudo usermod -aG docker {os.environ.get('USER', '$USER')}, then log in again"
            )
    import docker

    with in_words():
        return docker.DockerClient(base_url=where, version="auto", timeout=_ANSWERS_WITHIN_S)


@once
def info() -> dict[str, Any]:
    """The engine's description of itself (`docker info`). Raises UserError like `connect`."""
    with in_words():
        found: dict[str, Any] = quick().info()
    return found


def image(name: str) -> Image | None:
    """The engine's present image of this name; None if there is no such image. Raises UserError like `connect`."""
    from docker.errors import NotFound

    client = quick()
    with in_words():
        try:
            return client.images.get(name)
        except NotFound:
            return None


def has_security(name: str) -> bool:
    """Whether the engine runs with `rootless`, `userns`, `selinux`, ... Raises UserError like `connect`."""
    return any(f"name={name}" in option.split(",") for option in info().get("SecurityOptions") or [])


def gpu_request() -> DeviceRequest | None:
    """The request that gives a container this machine's GPUs. None if there are no GPUs, if CUDA_VISIBLE_DEVICES hides
    them, or if the engine cannot pass them on.

    The NVIDIA container toolkit adds a runtime to the engine, or describes the devices in CDI files. Docker Desktop has
    that runtime with or without a GPU. The container gets all GPUs, and CUDA in it selects the GPUs that
    CUDA_VISIBLE_DEVICES names. (The toolkit cannot select them, because it may number the GPUs in another order.)

    Raises:
      UserError: like `connect`.
    """
    if not machine.gpus():
        return None
    from docker.types import DeviceRequest

    if "nvidia" in (info().get("Runtimes") or {}) or shutil.which("nvidia-container-runtime-hook"):
        return DeviceRequest(count=-1, capabilities=[["gpu"]])
    return DeviceRequest(driver="cdi", device_ids=[_CDI_ALL]) if _has_cdi() else None


def _has_cdi() -> bool:
    """Whether CDI files describe the GPUs. Since version 28, engines list devices; earlier ones list only folders."""
    if any(device.get("ID") == _CDI_ALL for device in info().get("DiscoveredDevices") or []):
        return True
    folders = [Path(name) for name in info().get("CDISpecDirs") or []]
    return any(list(folder.glob("nvidia*")) for folder in folders if folder in _CDI_FOLDERS)


def _of_context() -> tuple[str | None, bool]:
    """The address of the docker command's current context (None for the default context), and whether it uses TLS.

    Raises:
      UserError: if the context does not exist.
    """
    wanted = os.environ.get("DOCKER_CONTEXT")
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if not wanted and not config.exists():
        return None, False  # return before importing the SDK, which takes time
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    wanted = wanted or get_current_context_name()
    if wanted == "default":
        return None, False
    try:
        context = ContextAPI.get_context(wanted)
    except Exception:  # the SDK raises a plain Exception; the docker command cannot read such a context either
        context = None
    if context is None:
        raise UserError(
            f"there is no docker context {wanted!r}; run docker context ls to see all contexts, or run docker context "
            "use default and unset DOCKER_CONTEXT to choose this machine's engine"
        )
    return context.Host, context.TLSConfig is not None
