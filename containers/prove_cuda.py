"""Proves during the build of an image that every CUDA library of a backend is in it: `prove_cuda.py tensorflow|jax`.

A missing library would show only on a machine with a GPU, and only as a step that silently runs on the CPU. The proof
needs neither a GPU nor a driver: the driver's own libraries come from the host. Exits 1 and names what is missing.
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
"""Folders in which each backend keeps its shared objects."""

LOADER = re.compile(rb"_ZN3tsl8internal9DsoLoader\d+Get([A-Za-z]+)DsoHandleEv")
"""Both backends load CUDA by tsl::internal::DsoLoader, which has a function for each library."""
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
OPENED_BY_CUDA = ("libnvrtc.so.12", *(f"libcudnn_{part}.so.9" for part in ("adv", "cnn", "graph", "heuristic", "ops")))
"""Libraries that cuDNN and others open only when one of their functions is called; `ldd` does not list them."""

NOT_WANTED = re.compile("CudaDriver|Nvml|NvInfer(Plugin)?|Nvshmem|Hip.*|Roc.*|Miopen")
"""Not in the image: the driver's libraries, TensorRT (not in the wheel), those for several machines, AMD's."""
FEWEST = 8
"""If fewer functions of the loader are found, the loader has changed, and this proof must be adapted."""

DRIVER = re.compile(r"libcuda\.so|libnvidia-")
BETWEEN_MACHINES = re.compile(r"nvshmem_(bootstrap|transport)_")
"""NVSHMEM's plug-ins for MPI, InfiniBand and others, each of which needs the libraries of its network."""


def main(backend: str) -> int:
    if os.environ.get("LD_LIBRARY_PATH"):
        sys.exit("LD_LIBRARY_PATH is set: the proof would hold only where it is set too")
    print(f"CUDA for {backend}, without LD_LIBRARY_PATH:")
    loaders = loader_functions(backend)
    trouble = [*opened_by_name(loaders), *unresolved(backend), *compiles_by_nvrtc()]
    trouble += opened_by_tensorflow(loaders) if backend == "tensorflow" else opened_by_jax()
    for line in trouble:
        print(f"missing: {line}", file=sys.stderr)
    return 1 if trouble else 0


def shared_objects(*folders: str) -> list[Path]:
    """All shared objects below folders of site-packages, without links."""
    found = [path for folder in folders for path in sorted((SITE / folder).rglob("*.so*"))]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def loader_functions(backend: str) -> dict[str, str]:
    """The loader's functions for libraries that an image needs: name as in `OPENED` -> the function's symbol."""
    found: dict[str, str] = {}
    for path in shared_objects(*CODE[backend]):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found.update((match[1].decode(), match[0].decode()) for match in LOADER.finditer(data))
    return {name: symbol for name, symbol in sorted(found.items()) if not NOT_WANTED.fullmatch(name)}


def opened_by_name(loaders: dict[str, str]) -> Iterator[str]:
    """Opens libraries by their bare names, so that the loader must find them: those that a backend opens, and all those
    that are installed.

    Yields:
      What is missing.
    """
    if len(loaders) < FEWEST:
        yield f"a loader of at least {FEWEST} libraries; found {', '.join(loaders) or 'none'}"
    for name in loaders.keys() - OPENED.keys():
        yield f"{name}, which this proof does not know; add it to OPENED, and its package to pyproject.toml"
    wanted = [OPENED[name] for name in loaders if name in OPENED] + list(OPENED_BY_CUDA)
    there = [path.name for path in shared_objects("nvidia") if path.parent.name == "lib"]
    for name in dict.fromkeys(wanted + [name for name in there if not BETWEEN_MACHINES.match(name)]):
        try:
            ctypes.CDLL(name)
            print(f"  {name}")
        except OSError as error:
            if DRIVER.match(str(error)):  # the library was found; `unresolved` checks what else it needs
                print(f"  {name}, except for the driver")
            else:
                yield f"{name} ({error})"


def unresolved(backend: str) -> Iterator[str]:
    """Libraries that shared objects of CUDA and of the backend need and that are missing."""
    paths = [path for path in shared_objects("nvidia", *CODE[backend]) if not BETWEEN_MACHINES.match(path.name)]
    for path in paths:
        needed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for name in re.findall(r"(\S+) => not found", needed):
            if not DRIVER.match(name):
                yield f"{name}, which {path.relative_to(SITE)} needs"
    print(f"  {len(paths)} shared objects have what they need")


def compiles_by_nvrtc() -> Iterator[str]:
    """Compiles a program with CUDA, as cuDNN does for some convolutions; this opens one more library."""
    try:
        nvrtc = ctypes.CDLL("libnvrtc.so.12")
    except OSError:
        return  # `opened_by_name` reports it
    program = ctypes.c_void_p()
    code = b'extern "C" __global__ void f(float* x) { x[threadIdx.x] = __sinf(x[0]); }'
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), code, b"f.cu", 0, None, None)
    error = nvrtc.nvrtcCompileProgram(program, 0, None)
    if error:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        yield f"what libnvrtc.so.12 compiles with ({nvrtc.nvrtcGetErrorString(error).decode()})"
    else:
        print("  libnvrtc.so.12 compiles")


def opened_by_tensorflow(loaders: dict[str, str]) -> Iterator[str]:
    """Calls TensorFlow's own functions that open its libraries and find the compilers for the GPU.

    They are C++ functions that return through a pointer. An absl::StatusOr is a word, 1 for success, and the value; a
    string is a pointer, a length and more.
    """
    framework = ctypes.CDLL(str(SITE / "tensorflow/libtensorflow_framework.so.2"))
    result = (ctypes.c_uint64 * 8)()
    for name, symbol in loaders.items():
        framework[symbol](result)
        if result[0] != 1:
            yield f"{OPENED.get(name, name)}, for TensorFlow's own loader"
    code = ctypes.CDLL(str(SITE / "tensorflow/libtensorflow_cc.so.2"))
    view = "ESt17basic_string_viewIcSt11char_traitsIcEE"  # takes a std::string_view, the folder that a user prefers:
    none = (ctypes.c_size_t(0), ctypes.c_char_p(b""))
    code[f"_ZN15stream_executor19FindPtxAsExecutableB5cxx11{view}"](result, *none)
    ptxas = ctypes.string_at(result[1], result[2]).decode() if result[0] == 1 else "ptxas"
    code[f"_ZN3xla3gpu5nvptx13LibDevicePathB5cxx11{view}"](result, *none)
    yield from compiles(Path(ptxas), Path(ctypes.string_at(result[0], result[1]).decode()))


def opened_by_jax() -> Iterator[str]:
    """Calls JAX's functions that open its libraries, and compares their versions with those it was built against."""
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
    """What XLA needs to compile: an assembler, which is a program, and a library of mathematical functions."""
    try:
        told = subprocess.run([ptxas, "--version"], capture_output=True, text=True, check=True).stdout
        print(f"  {ptxas}: {told.splitlines()[-1]}")
    except (OSError, subprocess.CalledProcessError) as error:
        yield f"ptxas ({error})"
    if libdevice.is_file():
        print(f"  {libdevice}")
    else:
        yield f"libdevice (looked for {libdevice})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
