"""`python -m floodrunner.stages._gpu` and `require`: for real without a GPU; with what a GPU gives put in at the backend's seam."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from floodrunner.contract.stage import StageError
from floodrunner.segmentation import backend
from floodrunner.stages import _gpu

H100 = {"name": "NVIDIA H100", "compute_capability": "9.0"}
BLACKWELL = {"name": "NVIDIA GeForce RTX 5090", "compute_capability": "12.0"}


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_without_a_gpu_it_says_so_in_one_line(name: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": name}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists():
        environment["CUDA_VISIBLE_DEVICES"], environment["JAX_PLATFORMS"] = "-1", "cpu"
    answer = subprocess.run(
        [sys.executable, "-m", "floodrunner.stages._gpu"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1, answer.stderr
    (line,) = answer.stdout.splitlines()
    report = json.loads(line)
    assert report["backend"] == name
    assert (report["devices"], report["errors"], report["right"]) == ([], {}, False)
    assert report["reason"].startswith(f"{name} sees no GPU: ")


def on_a_gpu(function: Callable[..., Any], *arrays: np.ndarray) -> tuple[np.ndarray, bool]:
    return REAL(function, *arrays)[0], True


REAL = backend.compute


@pytest.fixture
def h100(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the CPU computes stands in for what a GPU does."""
    monkeypatch.setattr(backend, "gpus", lambda: [H100])
    monkeypatch.setattr(backend, "compute", on_a_gpu)


def test_a_gpu_that_computes_rightly(h100: None) -> None:
    report = _gpu.check()
    assert report["right"] is True
    assert report["reason"] == ""
    assert report["devices"] == [H100]
    assert set(report["errors"]) == {"a 3D convolution", "a matrix product"}
    assert all(0 < error < 1e-5 for error in report["errors"].values())


def test_what_comes_out_is_known_without_keras() -> None:
    (_, (image, kernel), expected), (_, (a, b), product) = _gpu._operations().values()
    for feature in (0, 31):
        by_scipy = sum(
            scipy.ndimage.correlate(image[0, ..., i].astype(float), kernel[..., i, feature], mode="constant")
            for i in range(image.shape[-1])
        )
        np.testing.assert_allclose(expected[0, ..., feature], by_scipy, atol=1e-9)
    np.testing.assert_allclose(product, np.einsum("ij,jk", a, b, dtype=float), atol=1e-9)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda result: (result * 1.05, True), "a 3D convolution on the GPU is off by 0.05; update the NVIDIA driver"),
        (lambda result: (result * np.nan, True), "a 3D convolution on the GPU is off by nan; update the NVIDIA driver"),
        (lambda result: (result, False), "a 3D convolution was computed on the CPU; update the NVIDIA driver"),
    ],
)
def test_a_gpu_that_does_not(
    h100: None, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[np.ndarray], tuple[np.ndarray, bool]], reason: str
) -> None:
    monkeypatch.setattr(backend, "compute", lambda function, *arrays: spoil(REAL(function, *arrays)[0]))
    report = _gpu.check()
    assert report["right"] is False
    assert report["reason"].startswith(reason)
    json.loads(json.dumps(report, allow_nan=False))


def test_rounding_to_ten_bits_is_no_fault(h100: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32, which GPUs compute with."""

    def rounded(array: np.ndarray) -> np.ndarray:
        return (array.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)

    monkeypatch.setattr(backend, "compute", lambda function, *arrays: on_a_gpu(function, *map(rounded, arrays)))
    report = _gpu.check()
    assert report["right"] is True
    assert all(error > 1e-4 for error in report["errors"].values()), "nothing was rounded"


@pytest.mark.parametrize(
    ("device", "text", "advice"),
    [
        (
            BLACKWELL,
            "cuLaunchKernel failed with\n'CUDA_ERROR_INVALID_HANDLE'",
            "tensorflow has no code for compute capability 12.0, so build for JAX: floodrunner build --gpu --backend jax",
        ),
        (
            H100,
            "RESOURCE_EXHAUSTED: Out of memory",
            "other programs use the GPU's memory (nvidia-smi lists them): end them, and try again",
        ),
        (H100, "CUDA_ERROR_UNKNOWN", "update the NVIDIA driver, restart the machine, and try again"),
    ],
)
def test_an_operation_that_fails(
    monkeypatch: pytest.MonkeyPatch, device: dict[str, str], text: str, advice: str
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(backend, "name", lambda: "tensorflow")
    monkeypatch.setattr(backend, "cuda", dict)
    monkeypatch.setattr(backend, "gpus", lambda: [device])
    monkeypatch.setattr(backend, "compute", fails)
    report = _gpu.check()
    assert report["right"] is False
    flat = text.replace("\n", " ")
    assert report["reason"] == f"a 3D convolution fails on the GPU: RuntimeError: {flat}; {advice}"


def test_a_step_that_was_promised_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(backend, "gpus", list)
    monkeypatch.setattr(backend, "name", lambda: "tensorflow")
    monkeypatch.setattr(backend, "cuda", dict)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def why() -> str:
        with pytest.raises(StageError) as error:
            _gpu.require()
        assert "\n" not in str(error.value)
        return str(error.value)

    promised = "a GPU was promised, but tensorflow sees no GPU"
    assert why() == f"{promised}: it was installed for the CPU alone; use the GPU image: floodrunner build --gpu"
    monkeypatch.setattr(backend, "cuda", lambda: {"cuda": "12.5.1"})
    monkeypatch.setattr(_gpu, "_DEVICES", (tmp_path / "nvidiactl",))
    assert why().startswith(f"{promised}: NVIDIA's driver was not found; install it, and for containers also")
    (tmp_path / "nvidiactl").touch()
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0\n"
    )
    monkeypatch.setattr(_gpu, "_DRIVER", tmp_path / "version")
    assert why().startswith(f"{promised}, although NVIDIA's driver (550.54.15) is installed: it could not load")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert why() == f"{promised}: CUDA_VISIBLE_DEVICES=-1 hides it; unset this variable"


def test_a_step_that_has_one(h100: None) -> None:
    _gpu.require()
