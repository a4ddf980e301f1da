"""Checks whether a GPU of this machine computes correctly: `python -m floodrunner.stages._gpu` prints one line of JSON.

The exit code is 0 if it does. Otherwise it is 1, and `reason` in the JSON says what is wrong and what to do.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodrunner.contract.gpu import needs_jax
from floodrunner.contract.stage import StageError

if TYPE_CHECKING:
    import numpy as np

_TOLERANCE = 1e-2
"""Largest allowed difference from NumPy's result, relative to the largest value. A GPU may round factors to 10 bits
(TF32), which changes a sum by about 1e-3; a GPU that computes wrongly is off by as much as the values themselves."""

_BOX, _FEATURES = (9, 17, 17), 32
_DRIVER = Path("/proc/driver/nvidia/version")
_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""Device files that NVIDIA's driver creates: the first on Linux, the second under WSL."""


def require() -> None:
    """Checks that the backend sees a GPU, when a step starts that was promised one. Computes nothing.

    Raises:
      StageError: if the backend sees no GPU; the message is one line that says why.
    """
    from floodrunner.segmentation import backend

    if not backend.gpus():
        raise StageError(f"a GPU was promised, but {_why_none()}")


def check() -> dict[str, Any]:
    """Lets a GPU compute what the FFN computes most, and compares the results with NumPy's.

    Returns:
      The content of the JSON line: `backend`, `cuda` {library: version}, `driver`, `devices` [{name,
      compute_capability}], `errors` {operation: largest difference divided by largest value}, `right` (whether all
      results are correct), and `reason`, which is empty if `right` is True.
    """
    from floodrunner.segmentation import backend

    report: dict[str, Any] = {"backend": backend.name(), "cuda": backend.cuda(), "driver": _driver()}
    report |= {"devices": backend.gpus(), "errors": {}, "right": False, "reason": ""}
    if not report["devices"]:
        return report | {"reason": _why_none()}
    for operation, (function, arrays, expected) in _operations().items():
        try:
            result, on_gpu = backend.compute(function, *arrays)
        except Exception as error:  # the errors of TensorFlow and JAX have no common class
            return report | {"reason": f"{operation} fails on the GPU: {_words(error)}; {_advice(report, error)}"}
        difference = float(abs(result - expected).max() / abs(expected).max())
        report["errors"][operation] = difference if difference == difference else None
        if not on_gpu:
            return report | {"reason": f"{operation} was computed on the CPU; {_advice(report)}"}
        if not difference <= _TOLERANCE:  # also true for NaN
            return report | {"reason": f"{operation} on the GPU is off by {difference:.2g}; {_advice(report)}"}
    return report | {"right": True}


def _operations() -> dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...], np.ndarray]]:
    """Maps the name of each operation to a function in `keras.ops`, its arrays, and its result.

    NumPy computes the result in double precision.
    """
    import keras
    import numpy as np

    random = np.random.default_rng(0)
    image = random.normal(size=(1, *_BOX, _FEATURES)).astype(np.float32)
    kernel = random.normal(size=(3, 3, 3, _FEATURES, _FEATURES)).astype(np.float32)
    matrix = random.normal(size=(256, 256)).astype(np.float32)

    padded = np.pad(image.astype(np.float64), ((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
    depth, height, width = _BOX
    convolved = sum(
        padded[:, z : z + depth, y : y + height, x : x + width] @ kernel[z, y, x].astype(np.float64)
        for z, y, x in np.ndindex(3, 3, 3)
    )

    def convolve(a: Any, b: Any) -> Any:
        return keras.ops.conv(a, b, padding="same", data_format="channels_last")

    return {
        "a 3D convolution": (convolve, (image, kernel), np.array(convolved)),
        "a matrix product": (keras.ops.matmul, (matrix, matrix), matrix.astype(np.float64) @ matrix),
    }


def _why_none() -> str:
    """Says why the backend probably sees no GPU, and what to do."""
    from floodrunner.segmentation import backend

    sees_none = f"{backend.name()} sees no GPU"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden in ("", "-1"):
        return f"{sees_none}: CUDA_VISIBLE_DEVICES={hidden} hides it; unset this variable"
    if not backend.cuda():
        return f"{sees_none}: it was installed for the CPU alone; use the GPU image: floodrunner build --gpu"
    if not any(path.exists() for path in _DEVICES):
        return (
            f"{sees_none}: NVIDIA's driver was not found; install it, and for containers also the NVIDIA container "
            "toolkit (floodrunner doctor says more)"
        )
    return (
        f"{sees_none}, although NVIDIA's driver{f' ({_driver()})' if _driver() else ''} is installed: it could not "
        "load the driver or the CUDA libraries; update the driver, or build the image again: "
        "floodrunner build --gpu"
    )


def _advice(report: dict[str, Any], error: Exception | None = None) -> str:
    capability = report["devices"][0]["compute_capability"]
    if report["backend"] == "tensorflow" and capability and needs_jax(tuple(map(int, capability.split(".")))):
        return (
            f"tensorflow has no code for compute capability {capability}, so build for JAX: "
            "floodrunner build --gpu --backend jax"
        )
    if re.search("out of memory|OOM|RESOURCE_EXHAUSTED", str(error)):
        return "other programs use the GPU's memory (nvidia-smi lists them): end them, and try again"
    return "update the NVIDIA driver, restart the machine, and try again"


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _driver() -> str:
    """Returns the version of the driver, such as `550.54.15`; "" if the system does not give it, as under WSL."""
    text = _DRIVER.read_text(errors="replace") if _DRIVER.exists() else ""
    match = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", text)
    return match[0] if match else ""


if __name__ == "__main__":
    found = check()
    print(json.dumps(found), flush=True)
    sys.exit(0 if found["right"] else 1)
