"""Checks, while an image is built, that every CUDA library a backend loads is there: `prove_cuda.py tensorflow|jax`.

A missing library would show only on a machine with a GPU, as a step that silently runs on the CPU. The check needs
neither a GPU nor a driver: the driver's own libraries come from the host. Exits with 1 and names what is missing.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SITE = Path(sysconfig.get_path("purelib"))
CODE = {"tensorflow": ("tensorflow",), "jax": ("jax_cuda12_plugin", "jax_plugins/xla_cuda12")}
"""The folders of site-packages that hold each backend's shared objects."""

LOADER = re.compile(rb"_ZN3tsl8internal9DsoLoader\d+Get([A-Za-z]+)DsoHandleEv")
"""The symbol of a loader function: both backends load CUDA through tsl::internal::DsoLoader, one function a library."""
OPENED = {
    "Cublas": "libcublas.so.12",
    "CublasLt": "libcublasLt.so.12",
    "CudaRuntime": "libcudart.so.12",
    "Cudnn": "libcudnn.so.9",
    "Cufft": "libcufft.so.11",
    "Cupti": "libcupti.so.12",
    "Cusolver": "libcusolver.so.11",
    "Cusparse": "libcusparse.so.12",
    "Nccl": "libnccl.so.2",
    "Nvrtc": "libnvrtc.so.12",
}
"""The loader's name of a library -> the file that it opens."""
OPENED_BY_CUDA = ("libnvrtc.so.12", *(f"libcudnn_{part}.so.9" for part in ("adv", "cnn", "graph", "heuristic", "ops")))
"""Libraries that cuDNN and others open only when certain functions are called; `ldd` does not list them."""

NOT_WANTED = re.compile("CudaDriver|Nvml|NvInfer(Plugin)?|Nvshmem|Hip.*|Roc.*|Miopen")
"""The driver's libraries; TensorRT, which the wheel is built without; NVSHMEM, for several machines; AMD's."""
FEWEST = 8
"""If fewer loader functions than this are found, the backend no longer keeps its loader in `CODE`."""

DRIVER = re.compile(r"libcuda\.so|libnvidia-")
BETWEEN_MACHINES = re.compile(r"nvshmem_(bootstrap|transport)_")
"""NVSHMEM's plug-ins for MPI, InfiniBand and others; each needs the libraries of its network, which are not there."""


def main(backend: str) -> int:
    if os.environ.get("LD_LIBRARY_PATH"):
        sys.exit("LD_LIBRARY_PATH is set: libraries could be found that steps will not find without it; unset it")
    print(f"CUDA for {backend}, without LD_LIBRARY_PATH:")
    loaders = loader_functions(backend)
    trouble = [*opened_by_name(loaders), *unresolved(backend), *compiles_by_nvrtc()]
    trouble += opened_by_tensorflow(loaders) if backend == "tensorflow" else opened_by_jax()
    for line in trouble:
        print(f"missing: {line}", file=sys.stderr)
    return 1 if trouble else 0


def shared_objects(*folders: str) -> list[Path]:
    """The shared objects below these folders of site-packages, without symbolic links."""
    found = [path for folder in folders for path in sorted((SITE / folder).rglob("*.so*"))]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def loader_functions(backend: str) -> dict[str, str]:
    """Libraries that the backend's loader can open and that are needed here: name as in `OPENED` -> function symbol."""
    found: dict[str, str] = {}
    for path in shared_objects(*CODE[backend]):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found.update((match[1].decode(), match[0].decode()) for match in LOADER.finditer(data))
    return {name: symbol for name, symbol in sorted(found.items()) if not NOT_WANTED.fullmatch(name)}


def opened_by_name(loaders: dict[str, str]) -> Iterator[str]:
    """Opens libraries by their file names alone, as a process without LD_LIBRARY_PATH does. Opens those that must be
    there and all others in the image; yields a line for each that is missing."""
    if len(loaders) < FEWEST:
        yield f"a loader of at least {FEWEST} libraries; found {', '.join(loaders) or 'none'}"
    for name in loaders.keys() - OPENED.keys():
        yield f"{name}, which OPENED does not list; add it there, and its package to pyproject.toml"
    wanted = [OPENED[name] for name in loaders if name in OPENED] + list(OPENED_BY_CUDA)
    there = [path.name for path in shared_objects("nvidia") if path.parent.name == "lib"]
    for name in dict.fromkeys(wanted + [name for name in there if not BETWEEN_MACHINES.match(name)]):
        try:
            ctypes.CDLL(name)
            print(f"  {name}")
        except OSError as error:
            if DRIVER.match(str(error)):  # the library is there; `unresolved` checks its other dependencies
                print(f"  {name}, which needs the host's driver")
            else:
                yield f"{name} ({error})"


def unresolved(backend: str) -> Iterator[str]:
    """Yields libraries that the shared objects of CUDA and of the backend depend on and that `ldd` does not find."""
    paths = [path for path in shared_objects("nvidia", *CODE[backend]) if not BETWEEN_MACHINES.match(path.name)]
    for path in paths:
        needed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for name in re.findall(r"(\S+) => not found", needed):
            if not DRIVER.match(name):
                yield f"{name}, which {path.relative_to(SITE)} needs"
    print(f"  {len(paths)} shared objects have what they need")


def compiles_by_nvrtc() -> Iterator[str]:
    """Compiles a program with NVRTC, as cuDNN does for some convolutions; this opens one more library."""
    try:
        nvrtc = ctypes.CDLL("libnvrtc.so.12")
    except OSError:
        return  # `opened_by_name` has reported it
    program = ctypes.c_void_p()
    code = b'extern "C" __global__ void f(float* x) { x[threadIdx.x] = __sinf(x[0]); }'
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), code, b"f.cu", 0, None, None)
    error = nvrtc.nvrtcCompileProgram(program, 0, None)
    if error:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        yield f"a library that libnvrtc.so.12 needs to compile ({nvrtc.nvrtcGetErrorString(error).decode()})"
    else:
        print("  libnvrtc.so.12 compiles")


def opened_by_tensorflow(loaders: dict[str, str]) -> Iterator[str]:
    """Lets TensorFlow itself open its libraries, and find the tools that it compiles with for the GPU.

    The functions are C++ and return through a pointer. An absl::StatusOr is a word, which is 1 on success, followed by
    the value. A std::string is a pointer, a length, and more.
    """
    framework = ctypes.CDLL(str(SITE / "tensorflow/libtensorflow_framework.so.2"))
    result = (ctypes.c_uint64 * 8)()
    for name, symbol in loaders.items():
        framework[symbol](result)
        if result[0] != 1:
            yield f"{OPENED.get(name, name)}, for TensorFlow's own loader"
    code = ctypes.CDLL(str(SITE / "tensorflow/libtensorflow_cc.so.2"))
    view = "ESt17basic_string_viewIcSt11char_traitsIcEE"  # the parameter is a std::string_view, the preferred folder:
    none = (ctypes.c_size_t(0), ctypes.c_char_p(b""))
    code[f"_ZN15stream_executor19FindPtxAsExecutableB5cxx11{view}"](result, *none)
    ptxas = ctypes.string_at(result[1], result[2]).decode() if result[0] == 1 else "ptxas"
    code[f"_ZN3xla3gpu5nvptx13LibDevicePathB5cxx11{view}"](result, *none)
    yield from compiles(Path(ptxas), Path(ctypes.string_at(result[0], result[1]).decode()))


def opened_by_jax() -> Iterator[str]:
    """Lets JAX open its libraries, and compares their versions with those that JAX was built against, as JAX does."""
    from jax._src.lib import cuda_path
    from jax_cuda12_plugin import _versions

    for name in ("cuda_runtime", "cublas", "cudnn", "cufft", "cupti", "cusolver", "cusparse"):
        built = getattr(_versions, f"{name}_build_version")()
        try:
            found = getattr(_versions, f"{name}_get_version")()
        except RuntimeError as error:
            yield f"{name}, for JAX's own loader ({' '.join(str(error).split())})"
            continue
        print(f"  {name} {found}, JAX was built against {built}")
        if found < built:
            yield f"{name} {built} or later; found {found}"
    nvcc = Path(cuda_path or "nvcc")
    yield from compiles(nvcc / "bin/ptxas", nvcc / "nvvm/libdevice/libdevice.10.bc")


def compiles(ptxas: Path, libdevice: Path) -> Iterator[str]:
    """Checks the two parts that XLA compiles with: the assembler ptxas, and libdevice, a library of functions."""
    try:
        version = subprocess.run([ptxas, "--version"], capture_output=True, text=True, check=True).stdout
        print(f"  {ptxas}: {version.splitlines()[-1]}")
    except (OSError, subprocess.CalledProcessError) as error:
        yield f"ptxas ({error})"
    if libdevice.is_file():
        print(f"  {libdevice}")
    else:
        yield f"libdevice (looked for {libdevice})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
