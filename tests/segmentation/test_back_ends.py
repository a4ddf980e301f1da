"""TensorFlow and JAX compute and train alike: the same script, once with each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("back ends")  # so that the script runs once
Results = dict[str, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    """Part -> name -> value, of TensorFlow and of JAX."""
    tensorflow, jax = (
        computed(name, tmp_path_factory.mktemp("back-end") / f"{name}.npz") for name in ("tensorflow", "jax")
    )
    return tensorflow, jax


def computed(name: str, file: Path) -> Results:
    environment = os.environ | {
        "KERAS_BACKEND": name,
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    script = Path(__file__).with_name("parity.py")
    subprocess.run([sys.executable, str(script), str(file)], env=environment, cwd=ROOT, check=True, timeout=300)
    results: Results = {}
    with np.load(file, allow_pickle=False) as arrays:
        for key in arrays.files:
            part, name = key.split("/")
            results.setdefault(part, {})[name] = arrays[key]
    return results


def test_each_computes_on_the_processor_where_there_is_no_gpu(both: tuple[Results, Results]) -> None:
    x = np.arange(12).reshape(3, 4)
    for results, name in zip(both, ("tensorflow", "jax"), strict=True):
        seam = results["seam"]
        assert (str(seam["name"]), str(seam["device"])) == (name, "CPU")
        assert not seam["gpus"]
        assert not seam["cuda"]
        assert not seam["on_gpu"]
        np.testing.assert_array_equal(seam["product"], x @ x.T)


@pytest.mark.parametrize(("network", "tolerance"), [("ffn", 1e-3), ("classic", 2e-3), ("blog", 2e-3)])
def test_both_train_alike(network: str, tolerance: float, both: tuple[Results, Results]) -> None:
    """From the same weights, on the same batches."""
    first, second = (results[network] for results in both)
    assert first.keys() == second.keys()
    np.testing.assert_allclose(second["losses"], first["losses"], rtol=1e-4)
    np.testing.assert_allclose(second["output"], first["output"], atol=tolerance)
    assert np.ptp(first["output"]) > 0.01
    assert np.abs(first["output"] - first["before"]).max() > 2 * tolerance  # the training shows


@pytest.mark.parametrize(("network", "number"), [("classic", 20), ("blog", 28)])
def test_both_keep_the_same_running_means(network: str, number: int, both: tuple[Results, Results]) -> None:
    """Those of the normalisation, which no gradient moves."""
    first, second = (results[network] for results in both)
    moved = [name for name in first if name.startswith("moved")]
    assert len(moved) == number
    for name in moved:
        assert np.abs(first[name] - 1).max() > 1e-3
        np.testing.assert_allclose(second[name], first[name], rtol=1e-3, atol=1e-4)
