"""What this machine has: processor, memory, GPUs, file systems."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil


class Gpu(NamedTuple):
    """An NVIDIA GPU; `capability` is its compute capability, such as (8, 9)."""

    name: str
    memory_bytes: int
    capability: tuple[int, int]


class Nvidia(NamedTuple):
    """What NVIDIA's driver reports: the GPUs, its own version, and in `trouble` why there are none."""

    gpus: tuple[Gpu, ...]
    driver: str
    trouble: str


def describe() -> dict[str, Any]:
    """For records: host, system, processor, memory, GPUs."""
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": processors(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpus(),
    }


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@cache
def nvidia() -> Nvidia:
    """Asks NVIDIA's driver, through its library NVML.

    Under WSL that library is in `/usr/lib/wsl/lib`. No path is tried here: CUDA's own library is in the same folder,
    so where the loader does not search it, nothing could compute on the GPU either.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Nvidia((), "", str(error))
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        found = tuple(
            Gpu(
                pynvml.nvmlDeviceGetName(handle),
                pynvml.nvmlDeviceGetMemoryInfo(handle).total,
                tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
            )
            for handle in handles
        )
        return Nvidia(found, pynvml.nvmlSystemGetDriverVersion(), "" if found else "the driver has no GPU")
    except pynvml.NVMLError as error:
        return Nvidia((), "", str(error))
    finally:
        pynvml.nvmlShutdown()


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs that this machine has and that CUDA_VISIBLE_DEVICES does not hide altogether."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    return [gpu.name for gpu in nvidia().gpus]


def is_wsl() -> bool:
    return "microsoft" in platform.release().lower()


def wsl_version() -> int:
    """1 (emulates Linux, without Docker and GPUs), 2 (a virtual machine), or 0 outside of WSL."""
    if not is_wsl():
        return 0
    return 1 if platform.release().endswith("-Microsoft") else 2  # 4.4.0-22621-Microsoft


def file_system(path: Path) -> str:
    """Type of the file system that a path is or would be on: `ext4`, `9p`, `nfs4`; "" where that is not known."""
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
