"""The Docker engine that this machine's files can be mounted into: where it answers, and what it offers."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.errors import UserError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import DeviceRequest

SOCKET = Path("/var/run/docker.sock")
_CDI_FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
_ANSWERS_WITHIN_S = 10
_CDI_ALL = "nvidia.com/gpu=all"


def address() -> str:
    """Where the engine answers, as `unix:///var/run/docker.sock`; what the docker command would use.

    That is DOCKER_HOST, else the docker command's context, else the usual socket, else a rootless engine's.

    Raises:
      UserError: if there is none, or it is another machine's.
    """
    found = os.environ.get("DOCKER_HOST") or _of_context()
    if not found:
        rootless = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")
        socket = next((path for path in (SOCKET, rootless) if path.exists()), None)
        if socket is None:
            raise UserError(f"no Docker engine at {SOCKET}; install or start Docker")
        return f"unix://{socket}"
    parts = urlsplit(found)
    if parts.scheme == "unix" or (parts.scheme in ("tcp", "http") and parts.hostname in ("localhost", "127.0.0.1")):
        return found
    raise UserError(
        f"the Docker engine at {found} is not on this machine and does not see its files; run Floodrunner there, "
        "or unset DOCKER_HOST (docker context use default)"
    )


@cache
def connect() -> DockerClient:
    """A client of the engine, which has answered.

    Raises:
      UserError: if it does not answer, or not this user.
    """
    where = address()
    path = urlsplit(where).path
    if where.startswith("unix:"):
        if not os.path.exists(path):
            raise UserError(f"no Docker engine at {where}; start Docker")
        if not os.access(path, os.R_OK | os.W_OK):
            raise UserError(
                f"no right to use the Docker engine at {where}; "
                f"sudo usermod -aG docker {os.environ.get('USER', '$USER')}, then log in again"
            )
    import docker
    from docker.constants import DEFAULT_TIMEOUT_SECONDS
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.DockerClient(base_url=where, version="auto", timeout=_ANSWERS_WITHIN_S)
        client.api.timeout = DEFAULT_TIMEOUT_SECONDS  # making a container may take longer than saying who one is
        return client
    except (DockerException, RequestException, OSError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"the Docker engine at {where} does not answer: {text}; start Docker") from None


@cache
def info() -> dict[str, Any]:
    """What the engine says of itself (`docker info`). Raises UserError as `connect`."""
    found: dict[str, Any] = connect().info()
    return found


def has_security(name: str) -> bool:
    """Whether the engine runs with `rootless`, `userns`, `selinux`, ... Raises UserError as `connect`."""
    return any(f"name={name}" in option.split(",") for option in info().get("SecurityOptions") or [])


def gpu_request() -> DeviceRequest | None:
    """What gives a container the GPUs that this user may see; None where there are none, or no means to.

    The NVIDIA container toolkit hooks into the engine as a runtime, or describes the devices in CDI files.
    CUDA_VISIBLE_DEVICES chooses among them, as it does outside of containers.

    Raises:
      UserError: as `connect`.
    """
    from docker.types import DeviceRequest

    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):  # they are hidden
        return None
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if "nvidia" in (info().get("Runtimes") or {}) or shutil.which("nvidia-container-runtime-hook"):
        chosen: dict[str, Any] = {"device_ids": visible} if visible else {"count": -1}
        return DeviceRequest(**chosen, capabilities=[["gpu"]])
    if _has_cdi():
        names = [f"nvidia.com/gpu={name}" for name in visible] or [_CDI_ALL]
        return DeviceRequest(driver="cdi", device_ids=names)
    return None


def _has_cdi() -> bool:
    """Engines from 28 on list the devices; those before only the folders that they look into."""
    if any(device.get("ID") == _CDI_ALL for device in info().get("DiscoveredDevices") or []):
        return True
    folders = [Path(name) for name in info().get("CDISpecDirs") or []]
    return any(list(folder.glob("nvidia*")) for folder in folders if folder in _CDI_FOLDERS)


def _of_context() -> str | None:
    """The address of the docker command's current context; None for its default one."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if not os.environ.get("DOCKER_CONTEXT") and not config.exists():
        return None  # spares loading the SDK where there is no Docker
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        found = ContextAPI.kwargs_from_context().get("base_url")
    except (DockerException, OSError, ValueError):
        return None  # a config.json that the docker command could not read either
    return None if found == f"unix://{SOCKET}" else found
