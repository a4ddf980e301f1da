"""What this machine has: processor, memory, GPUs, file systems."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil


class Gpu(NamedTuple):
    """An NVIDIA GPU. `capability` is its compute capability, such as (8, 9). (0, 0) and 0 bytes mean unknown."""

    name: str
    memory_bytes: int
    capability: tuple[int, int]


class Nvidia(NamedTuple):
    """What NVIDIA's driver reports: the GPUs, its own version, and in `trouble` why there are no GPUs."""

    gpus: tuple[Gpu, ...]
    driver: str
    trouble: str


def describe() -> dict[str, Any]:
    """Describes this machine for records: host, system, processor, memory, GPUs."""
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": processors(),
        "memory_bytes": memory(),
        "gpus": gpus(),
    }


def memory() -> int:
    """Bytes of memory that this machine has."""
    return int(psutil.virtual_memory().total)


def is_busy() -> bool:
    """Whether other programs want more processors than there are, so that a measurement of speed is too low."""
    return os.getloadavg()[0] > 1.5 * processors()


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has no such function
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@cache
def nvidia() -> Nvidia:
    """Asks NVIDIA's driver, through its library NVML.

    Under WSL that library is in `/usr/lib/wsl/lib`, and the loader searches this folder.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Nvidia((), "", str(error))
    found, trouble = [], "the driver finds no GPU"
    try:
        driver = _asked("", pynvml.nvmlSystemGetDriverVersion)
        for index in range(_asked(0, pynvml.nvmlDeviceGetCount)):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                name = pynvml.nvmlDeviceGetName(handle)
            except pynvml.NVMLError as error:  # this GPU is lost; the others may work
                trouble = str(error)
                continue
            # GPUs that share their memory with the processor do not say how much they have.
            memory = _asked(None, pynvml.nvmlDeviceGetMemoryInfo, handle)
            major, minor = _asked((0, 0), pynvml.nvmlDeviceGetCudaComputeCapability, handle)
            found.append(Gpu(name, memory.total if memory else 0, (major, minor)))
    finally:
        pynvml.nvmlShutdown()
    return Nvidia(tuple(found), driver, "" if found else trouble)


def _asked(otherwise: Any, question: Callable[..., Any], *about: Any) -> Any:
    """The driver's answer; `otherwise` if it gives no answer."""
    import pynvml

    try:
        return question(*about)
    except pynvml.NVMLError:
        return otherwise


def capability() -> tuple[int, int]:
    """The newest compute capability of this machine's GPUs; (0, 0) if there are none."""
    return max((gpu.capability for gpu in nvidia().gpus), default=(0, 0))


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs that this machine has and that CUDA_VISIBLE_DEVICES does not hide altogether."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    return [gpu.name for gpu in nvidia().gpus]


def is_wsl() -> bool:
    return "microsoft" in platform.release().lower()


def wsl_version() -> int:
    """The version of WSL: 1 (emulates Linux, without Docker and GPUs), 2 (a virtual machine), or 0 outside of WSL."""
    if not is_wsl():
        return 0
    return 1 if platform.release().endswith("-Microsoft") else 2  # WSL 1: 4.4.0-22621-Microsoft


def file_system(path: Path) -> str:
    """Type of the file system that a path is or would be on: `ext4`, `9p`, `nfs4`; "" if the type is not known."""
    path = Path(os.path.abspath(path))
    mounts = [each for each in psutil.disk_partitions(all=True) if path.is_relative_to(each.mountpoint)]
    deepest = max((len(each.mountpoint) for each in mounts), default=0)
    # If several are mounted at one place, the last one hides the others.
    return next((each.fstype for each in reversed(mounts) if len(each.mountpoint) == deepest), "")


def _cpu() -> str:
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
