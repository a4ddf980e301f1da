"""What this machine is: processor, memory, GPU, file systems. Read from files where there are some: cheap."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_MOUNTS = Path("/proc/mounts")
_WSL_NVIDIA_SMI = "/usr/lib/wsl/lib/nvidia-smi"


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
def gpus() -> list[str]:
    """Names of the NVIDIA GPUs that this machine has and that are not hidden from this user."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    names = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = file.read_text(errors="replace").splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    if names or not Path("/dev/dxg").exists():  # WSL has no such files
        return names
    return [line.split(",")[0] for line in nvidia_smi("name")]


def nvidia_smi(query: str) -> list[str]:
    """Answers of `nvidia-smi --query-gpu=...`, a line for each GPU; none where there is no driver."""
    program = shutil.which("nvidia-smi") or (_WSL_NVIDIA_SMI if Path(_WSL_NVIDIA_SMI).exists() else None)
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={query}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=15,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.strip().splitlines()


def is_wsl() -> bool:
    return "microsoft" in platform.release().lower()


def wsl_version() -> int:
    """1, which emulates Linux and has neither Docker nor GPUs; 2, a virtual machine; 0 outside of WSL."""
    if not is_wsl():
        return 0
    return 1 if platform.release().endswith("-Microsoft") else 2  # 4.4.0-22621-Microsoft


def file_system(path: Path) -> str:
    """Type of the file system that a path is or would be on: `ext4`, `9p`, `nfs4`; "" where that is not known."""
    path = Path(os.path.abspath(path))
    best, kind = "", ""
    for line in _MOUNTS.read_text(errors="replace").splitlines() if _MOUNTS.exists() else []:
        _, point, type_, *_ = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)  # a space is \040
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, type_
    return kind


def _cpu() -> str:
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
