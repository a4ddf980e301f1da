"""What the back ends are reported to have as GPUs; their answers are put in. test_back_ends.py runs them for real."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import pytest
import tensorflow as tf

from floodrunner.segmentation import backend


def test_a_gpu_of_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def details(device: object) -> dict[str, Any]:
        return {"device_name": "NVIDIA H100", "compute_capability": (9, 0)} if device == "first" else {}

    monkeypatch.setattr(backend, "name", lambda: "tensorflow")
    monkeypatch.setattr(tf.config, "list_physical_devices", {"GPU": ["first", "second"]}.get)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)
    assert backend.gpus() == [
        {"name": "NVIDIA H100", "compute_capability": "9.0"},
        {"name": "?", "compute_capability": ""},
    ]
    assert backend.device() == "GPU: NVIDIA H100"
    built = {"is_cuda_build": True, "cuda_version": "12.5.1", "cudnn_version": "9"}
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: built)
    assert backend.cuda() == {"cuda": "12.5.1", "cudnn": "9"}


def test_a_gpu_of_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [
        SimpleNamespace(platform="gpu", device_kind="NVIDIA GeForce RTX 5090", compute_capability="12.0"),
        SimpleNamespace(platform="cpu", device_kind="cpu"),
    ]
    monkeypatch.setattr(backend, "name", lambda: "jax")
    monkeypatch.setattr(jax, "devices", lambda: devices)
    assert backend.gpus() == [{"name": "NVIDIA GeForce RTX 5090", "compute_capability": "12.0"}]
    assert backend.device() == "GPU: NVIDIA GeForce RTX 5090"


def test_jax_for_cuda_raises_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def devices() -> None:
        raise RuntimeError("Unable to initialize backend 'cuda': no supported devices found for platform CUDA")

    monkeypatch.setattr(backend, "name", lambda: "jax")
    monkeypatch.setattr(jax, "devices", devices)
    with pytest.warns(UserWarning, match="no supported devices found"):
        assert backend.gpus() == []
