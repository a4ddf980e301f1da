"""GPUs as NVIDIA's driver reports them, and file systems as psutil does."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from floodrunner.runner import machine


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """The driver is asked anew in each test."""
    machine.nvidia.cache_clear()
    yield
    machine.nvidia.cache_clear()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A driver with two GPUs; the calls that open and close it."""
    calls: list[str] = []
    memory = {0: 25_757_220_864, 1: 34_190_917_632}
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: calls.append("open"))
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: calls.append("close"))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda handle: f"NVIDIA GeForce RTX {4 + handle}090")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: SimpleNamespace(total=memory[handle]))
    capabilities = [(8, 9), (12, 0)]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCudaComputeCapability", lambda handle: capabilities[handle])
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "570.86.16")
    return calls


def test_gpus(driver: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpus = (
        machine.Gpu("NVIDIA GeForce RTX 4090", 25_757_220_864, (8, 9)),
        machine.Gpu("NVIDIA GeForce RTX 5090", 34_190_917_632, (12, 0)),
    )
    assert machine.nvidia() == (gpus, "570.86.16", "")
    assert machine.gpus() == ["NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090"]
    assert driver == ["open", "close"]  # asked once


@pytest.mark.parametrize(
    ("function", "error", "reason"),
    [
        ("nvmlInit", pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "NVML Shared Library Not Found"),
        ("nvmlInit", pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"),
        ("nvmlDeviceGetHandleByIndex", pynvml.NVML_ERROR_GPU_IS_LOST, "GPU is lost"),
    ],
)
def test_a_driver_in_trouble_has_no_gpu(
    driver: list[str], monkeypatch: pytest.MonkeyPatch, function: str, error: int, reason: str
) -> None:
    def fail(*_: object) -> None:
        raise pynvml.NVMLError(error)

    monkeypatch.setattr(pynvml, function, fail)
    assert machine.nvidia() == ((), "" if function == "nvmlInit" else "570.86.16", reason)
    assert machine.gpus() == []
    assert driver == ([] if function == "nvmlInit" else ["open", "close"])


def test_a_lost_gpu_hides_no_other(driver: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(index: int) -> int:
        if index == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", handle)
    assert machine.gpus() == ["NVIDIA GeForce RTX 5090"]
    assert machine.nvidia().trouble == ""


@pytest.mark.parametrize("function", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetCudaComputeCapability"])
def test_a_gpu_that_does_not_say_everything_is_a_gpu(
    driver: list[str], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """GPUs that share their memory with the processor do not say how much they have."""

    def unsupported(handle: int) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, function, unsupported)
    assert machine.gpus() == ["NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090"]
    unknown = {gpu.memory_bytes for gpu in machine.nvidia().gpus} if "Memory" in function else set()
    assert unknown <= {0}


def test_a_driver_without_a_gpu(driver: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 0)
    assert machine.nvidia() == ((), "570.86.16", "the driver finds no GPU")


def test_this_machine_without_a_driver() -> None:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        assert machine.nvidia() == ((), "", "NVML Shared Library Not Found")
    else:
        pytest.skip("this machine has NVIDIA's driver")


def test_the_file_system_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deepest mount counts, and of two at one place the last."""
    (tmp_path / "a drive").mkdir()
    mounts = [("/", "ext4"), (f"{tmp_path}/a drive", "xfs"), (f"{tmp_path}/a drive", "9p"), (f"{tmp_path}/a", "nfs")]
    partitions = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: partitions)
    assert machine.file_system(tmp_path / "a drive" / "runs") == "9p"
    assert machine.file_system(tmp_path / "a") == "nfs"
    assert machine.file_system(tmp_path / "another") == "ext4"
