"""Which packages steps need here, and the command that installs them."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from floodrunner.runner import installed, machine, place
from floodrunner.runner.engines import local
from floodrunner.runner.engines.base import Job
from floodrunner.runner.machine import Gpu, Nvidia
from floodrunner.runner.step_options import StepOptions

CPU = {"numpy": "2", "tensorflow-cpu": "2.21.0"}
CUDA = {"numpy": "2", "tensorflow": "2.21.0", "nvidia-cudnn-cu12": "9.3.0.75"}
JAX = CPU | {"jax": "0.10.0", "jax-cuda12-plugin": "0.10.0", "nvidia-cudnn-cu12": "9.28"}


@pytest.fixture
def has(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed: name -> version."""
    there: dict[str, str] = {}
    monkeypatch.setattr(installed, "version", there.get)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return there


def cards(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    found = tuple(Gpu(f"card {number}", 0, each) for number, each in enumerate(capabilities))
    monkeypatch.setattr(machine, "nvidia", lambda: Nvidia(found, "570", "" if found else "no driver"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_packages_are_those_of_the_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "click>=8.1",
        "numpy>=2; extra == 'stages'",
        'tensorflow-cpu==2.21.*; (sys_platform == "linux") and extra == "cpu"',
        "floodrunner[stages]; extra == 'cpu'",
        "nvidia-cudnn-cu12==9.3; extra == 'gpu'",
        "ruff; extra == 'dev'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert installed.distributions() == ["numpy", "tensorflow-cpu"]


@pytest.mark.parametrize(
    ("there", "extra", "backend"),
    [({}, "", "tensorflow"), (CPU, "", "tensorflow"), (CUDA, "gpu", "tensorflow"), (JAX, "gpu-jax", "jax")],
)
def test_keras_uses_what_is_installed(has: dict[str, str], there: dict[str, str], extra: str, backend: str) -> None:
    has |= there
    assert installed.for_gpu() == extra
    assert local.keras_settings(Path("k")) == {"KERAS_BACKEND": backend, "KERAS_HOME": "k"}
    assert local.identity(gpu=False)["backend"] == backend


def test_a_variable_chooses_another_backend(has: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    has |= JAX
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert local.keras_settings(Path("k"))["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.parametrize(
    ("capability", "there", "trouble"),
    [
        ((9, 0), CPU, "what is installed computes on the CPU; make gpu installs what it needs"),
        ((9, 0), CUDA, None),
        ((9, 0), JAX, None),
        ((12, 0), CUDA, "the TensorFlow that is installed fails on it; make gpu installs what it needs"),
        ((12, 0), JAX, None),
    ],
)
def test_a_card_that_steps_would_not_use_is_told(
    has: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    there: dict[str, str],
    trouble: str | None,
) -> None:
    has |= there
    cards(monkeypatch, capability)
    monkeypatch.chdir(place.ROOT)
    assert local.no_gpu() == (f"card 0 is not used: {trouble}" if trouble else "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local.no_gpu() == "no GPU found"


@pytest.mark.parametrize(
    ("capabilities", "lock", "why"),
    [
        ([(8, 9)], "gpu", "card 0, compute capability 8.9: TensorFlow with CUDA"),
        ([(8, 9), (12, 0)], "gpu-jax", "card 1, compute capability 12.0: JAX, because TensorFlow fails on this card"),
    ],
)
def test_make_gpu_installs_what_the_newest_card_needs(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    capabilities: list[tuple[int, int]],
    lock: str,
    why: str,
) -> None:
    cards(monkeypatch, *capabilities)
    assert installed.main() == 0
    assert capsys.readouterr() == (f"requirements/{lock}.txt\n", f"{why}\n")
    assert (place.ROOT / "requirements" / f"{lock}.txt").is_file()


def test_make_gpu_without_a_card_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cards(monkeypatch)
    assert installed.main() == 2
    line = "make gpu: no NVIDIA GPU found (no driver); make demo is for machines without one\n"
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("there", [CUDA, JAX])
def test_steps_for_a_gpu_find_cudas_libraries(
    has: dict[str, str], there: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has |= there
    for name in ("cudnn", "cublas"):
        (tmp_path / "nvidia" / name / "lib").mkdir(parents=True)
    monkeypatch.setattr(installed.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")

    def path(gpu: bool) -> str:
        job = Job("x", "fill", {}, {}, {}, tmp_path, StepOptions(gpu=gpu), "", "")
        return local._environment(job, tmp_path)["LD_LIBRARY_PATH"]

    folders = [f"{tmp_path}/nvidia/{name}/lib" for name in ("cublas", "cudnn")]
    assert path(gpu=True) == (":".join([*folders, "/opt/lib"]) if there is CUDA else "/opt/lib")  # JAX opens its own
    assert path(gpu=False) == "/opt/lib"


def test_the_command_is_that_of_a_checkout_or_of_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = place.ROOT
    monkeypatch.chdir(root)
    assert (installed.command(), installed.command("gpu-jax")) == ("make demo", "make gpu")
    monkeypatch.chdir(tmp_path)
    assert installed.command() == f"make -C {root} demo"
    monkeypatch.setattr(place, "ROOT", tmp_path)
    monkeypatch.setattr(installed.shutil, "which", lambda name: "/usr/bin/pip")
    assert installed.command() == f"{sys.executable} -m pip install 'floodrunner[cpu]'"
    monkeypatch.setattr(installed.shutil, "which", lambda name: str(Path(sys.executable).with_name("pip")))
    assert installed.command("gpu-jax") == "pip install 'floodrunner[gpu-jax]'"


@pytest.mark.parametrize("extra", ["nonsense", "cpu gpu", "%"])
def test_make_refuses_to_pack_an_extra_that_there_is_not(extra: str) -> None:
    command = ["make", "--no-print-directory", "--dry-run", "offline", f"EXTRA={extra}"]
    tried = subprocess.run(command, cwd=place.ROOT, capture_output=True, text=True, check=False)
    assert (tried.returncode, tried.stdout) == (2, "")
    assert f"EXTRA={extra}: there is no such extra; choose cpu, gpu or gpu-jax" in tried.stderr


def test_make_asks_this_module() -> None:
    makefile = (place.ROOT / "Makefile").read_text()
    assert f"python -m {installed.__name__}" in makefile
    tried = subprocess.run(["make", "--dry-run", "gpu"], cwd=place.ROOT, capture_output=True, text=True, check=False)
    assert "requirements/install.py requirements/runner.txt $lock" in tried.stdout, tried.stderr
