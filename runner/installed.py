"""The packages that steps need as processes: which are installed, and the command that installs those for this machine.

`python -m floodrunner.runner.installed` prints the lock file of `requirements/` that `make gpu` installs.
"""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from floodrunner.contract.gpu import needs_jax
from floodrunner.runner import machine, place

CPU, GPU, GPU_JAX = "cpu", "gpu", "gpu-jax"
"""Extras of the package, and names of lock files. Each is complete: all that steps need, with one backend."""


def distributions() -> list[str]:
    """Names of the packages that steps on a CPU need, installed or not. TensorFlow has two names."""
    try:
        requirements = importlib.metadata.requires("floodrunner") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    ours = (text for text in requirements if re.search(r"extra\s*==\s*['\"](stages|cpu)['\"]", text))
    return sorted({re.split(r"[^\w.-]", text)[0] for text in ours} - {"floodrunner"})


def missing() -> list[str]:
    """The packages in `distributions` that are not installed. Of TensorFlow's two packages, either is enough."""
    names = distributions()
    absent = [name for name in names if version(name) is None]
    has_tensorflow = any(name.startswith("tensorflow") and name not in absent for name in names)
    return [name for name in absent if not (has_tensorflow and name.startswith("tensorflow"))]


def version(name: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def for_gpu() -> str:
    """The extra whose packages for a GPU are installed; "" if those here compute on the CPU only."""
    if version("jax-cuda12-plugin"):
        return GPU_JAX
    return GPU if version("nvidia-cudnn-cu12") and version("tensorflow") and not version("tensorflow-cpu") else ""


def backend() -> str:
    """The backend of Keras that uses what is installed, a GPU too if there is one."""
    return "jax" if for_gpu() == GPU_JAX else "tensorflow"


def cuda_folders() -> list[str]:
    """The folders with CUDA's libraries that were installed beside TensorFlow, whose own search path lacks some."""
    return sorted(map(str, Path(sysconfig.get_path("purelib")).glob("nvidia/*/lib"))) if for_gpu() == GPU else []


def wanted_for_gpu() -> str:
    """The extra that this machine's GPU needs."""
    return GPU_JAX if needs_jax(machine.capability()) else GPU


def command(extra: str = CPU) -> str:
    """The command that installs what is missing: in a checkout by make, elsewhere by pip."""
    if (place.ROOT / "Makefile").is_file():
        target = "demo" if extra == CPU else "gpu"
        return f"make {target}" if Path.cwd() == place.ROOT else f"make -C {shlex.quote(str(place.ROOT))} {target}"
    python = Path(sys.executable)
    pip = "pip" if Path(shutil.which("pip") or "").parent == python.parent else f"{shlex.quote(str(python))} -m pip"
    return f"{pip} install 'floodrunner[{extra}]'"


def main() -> int:
    """Prints the lock file for this machine's GPU. Exit code 2 and one line if there is no NVIDIA GPU."""
    found, _, trouble = machine.nvidia()
    if not found:
        print(f"make gpu: no NVIDIA GPU found ({trouble}); make demo is for machines without one", file=sys.stderr)
        return 2
    extra, newest = wanted_for_gpu(), max(found, key=lambda gpu: gpu.capability)
    library = "JAX, because TensorFlow fails on this card" if extra == GPU_JAX else "TensorFlow with CUDA"
    print(f"{newest.name}, compute capability {'.'.join(map(str, newest.capability))}: {library}", file=sys.stderr)
    print(f"requirements/{extra}.txt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
