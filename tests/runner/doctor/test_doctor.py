"""What doctor says of Docker, WSL and GPUs, by what an engine answers; a real one is asked in tests/docker."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from floodrunner.runner import doctor, installed, machine
from floodrunner.runner.build import image as building
from floodrunner.runner.doctor import docker, gpu
from floodrunner.runner.doctor.finding import Finding
from floodrunner.runner.engines.docker import client, disk, images
from floodrunner.runner.errors import UserError


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine is asked anew in each test; the machine has no GPU and is no WSL."""
    cached = [client.connect, client.quick, client.info, images.find]
    clear = [each.cache_clear for each in cached]
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr(machine, "nvidia", lambda: machine.Nvidia((), "", "NVML Shared Library Not Found"))
    monkeypatch.setattr(machine, "is_wsl", lambda: False)
    for each in clear:
        each()
    yield
    monkeypatch.undo()
    for each in clear:
        each()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("stages", "segmentation"):
        (tmp_path / "code" / name).mkdir(parents=True)
    (tmp_path / "code/stages/a.py").write_text("A = 1\n")
    return tmp_path / "code"


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


# Without an engine.


def test_no_docker_is_no_trouble(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert only(docker.examine(root)) == Finding(
        "note",
        f"no Docker engine at unix://{tmp_path}/none.sock",
        "start Docker; without Docker, steps run as processes (--engine local)",
    )
    assert docker.usable(root) is False


def test_an_engine_that_is_gone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket stays."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/s")
        finding = only(docker.examine(root))
    assert finding.level == "note"
    assert finding.text.startswith(f"the Docker engine at unix://{tmp_path}/s does not answer: ")
    assert finding.advice == "start Docker; without Docker, steps run as processes (--engine local)"


def test_another_machines_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    finding = only(docker.examine(root))
    assert finding.text == "the Docker engine at tcp://elsewhere:2375 is not on this machine and does not see its files"
    assert finding.advice.startswith("run Floodrunner there, or unset DOCKER_HOST")


@pytest.mark.parametrize(
    ("release", "version", "advice"),
    [
        ("4.4.0-22621-Microsoft", 1, "Docker needs WSL 2; without Docker, steps run as processes (--engine local)"),
        (
            "5.15.167.4-microsoft-standard-WSL2",
            2,
            "install Docker Desktop in Windows and switch on its WSL integration for this distribution (Settings, Resources), or install Docker in this distribution; without Docker, steps run as processes (--engine local)",
        ),
    ],
)
def test_no_docker_under_wsl(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, version: int, advice: str
) -> None:
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    monkeypatch.setattr(platform, "release", lambda: release)
    monkeypatch.setattr(client, "SOCKET", tmp_path / "none.sock")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert machine.wsl_version() == version
    assert only(docker.examine(root)) == Finding("note", f"no Docker engine at {tmp_path}/none.sock", advice)


# What engines answer.


@pytest.fixture
def info(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An engine on this machine without images; what it answers may be changed."""
    answer = {
        "ServerVersion": "28.1.1", "OperatingSystem": "Debian GNU/Linux 12", "OSType": "linux", "NCPU": os.cpu_count(),
        "MemTotal": psutil.virtual_memory().total, "Name": platform.node(), "DockerRootDir": str(root), "Runtimes": {"runc": {}},
        "SecurityOptions": ["name=seccomp,profile=builtin"],
    }  # fmt: skip
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock")
    monkeypatch.setattr(client, "info", lambda: answer)
    monkeypatch.setattr(images, "find", lambda kind: None)
    return answer


def test_a_plain_engine(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOODRUNNER_IMAGE", raising=False)
    engine, owner, size, image, room = docker.examine(root)
    assert engine == Finding("ok", "Docker 28.1.1 at unix:///var/run/docker.sock (Debian GNU/Linux 12)")
    assert owner == Finding(
        "ok",
        f"containers: steps run as this user ({os.getuid()}:{os.getgid()}); the files that steps write belong to this user",
    )
    assert size.level == "ok"
    assert image == Finding("note", "there is no image floodrunner:cpu", "floodrunner build --cpu builds it")
    assert room.text.endswith(" free, building the missing images takes about 4.0 GB")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["name=rootless"],
            "containers: the engine is rootless, so root in a container is this user outside; the files that steps write belong to this user",
        ),
        (
            ["name=userns"],
            f"containers: steps run as this user ({os.getuid()}:{os.getgid()}), without the engine's userns-remap; the files that steps write belong to this user",
        ),
        (
            ["name=selinux"],
            f"containers: steps run as this user ({os.getuid()}:{os.getgid()}), without SELinux labels, which would hide mounted files; the files that steps write belong to this user",
        ),
    ],
)
def test_whose_files(info: dict[str, Any], options: list[str], text: str) -> None:
    info["SecurityOptions"] += options
    assert docker._owner() == Finding("ok", text)


def test_an_engine_for_windows_programs(root: Path, info: dict[str, Any]) -> None:
    info["OSType"] = "windows"
    finding = only(docker.examine(root))
    assert (finding.level, finding.advice) == ("note", "switch Docker Desktop to Linux containers")


def test_a_virtual_machine_with_less_than_this_one(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    info["MemTotal"] //= 3
    finding = docker._size(info)
    assert finding.level == "note"
    assert "less than half of this machine's" in finding.text
    assert finding.advice == "give containers more: Docker Desktop's Settings, Resources"
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert docker._size(info).advice == "give containers more: memory= and processors= in .wslconfig"
    info["MemTotal"], info["NCPU"] = psutil.virtual_memory().total, 0
    assert docker._size(info).level == "note"


def test_an_engine_with_little_memory(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_LITTLE_MEMORY", info["MemTotal"] + 1)
    assert docker._size(info).level == "note"


def test_room_for_the_images(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """doctor warns in every case in which `build` refuses, and by the same numbers."""
    monkeypatch.setattr(disk, "_NEEDED_BYTES", {"cpu": 3e6, "gpu": 1e18})
    assert only(docker._room()).level == "ok"
    building._check_room("floodrunner:cpu", "cpu")
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    finding = only(docker._room())
    assert finding.level == "note"
    assert finding.text.startswith(f"Docker's disk ({root}): ")
    with pytest.raises(UserError) as caught:
        building._check_room("floodrunner:gpu", "gpu")
    assert str(caught.value).startswith("floodrunner:gpu needs about ")
    assert f"and {root} has " in str(caught.value)
    assert str(caught.value).endswith(
        "B free; free some space there (docker system prune removes what no container uses)"
    )
    info["DriverStatus"] = [["driver-type", "io.containerd.snapshotter.v1"]]
    monkeypatch.setattr(disk, "_CONTAINERD", root / "stages")
    assert only(docker._room()).text.startswith(f"Docker's disk ({root}/stages): ")
    info["Name"] = "docker-desktop"  # a folder of the virtual machine, even if there is one of that name here
    assert list(docker._room()) == []
    building._check_room("floodrunner:gpu", "gpu")
    info.update(Name=platform.node(), DockerRootDir="/nowhere/docker", DriverStatus=None)
    assert list(docker._room()) == []
    building._check_room("floodrunner:gpu", "gpu")


def test_images_that_are_there_need_no_room(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_NEEDED_BYTES", {"cpu": 1e18, "gpu": 1e18})
    monkeypatch.setattr(images, "find", lambda kind: object())
    finding = only(docker._room())
    assert finding.level == "ok"
    assert finding.text.endswith("B free")
    building._check_room("floodrunner:cpu", "cpu")


def test_a_gpu_that_containers_are_not_given(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(gpu.in_containers(root)) == []
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    assert only(gpu.in_containers(root)) == Finding(
        "note",
        "containers cannot use this machine's GPU",
        "install the NVIDIA container toolkit, then sudo nvidia-ctk runtime configure --runtime=docker, and restart Docker",
    )
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert only(gpu.in_containers(root)).advice.startswith(
        "use Docker Desktop, or install the NVIDIA container toolkit"
    )


@pytest.mark.parametrize(
    ("answer", "means"),
    [({"Runtimes": {"nvidia": {}}}, "the NVIDIA runtime"), ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}, "CDI")],
)  # fmt: skip
def test_a_gpu_that_containers_are_given(
    root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], means: str
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    info.update(answer)
    found = only(gpu.in_containers(root))
    assert found == Finding(
        "ok", f"containers get the GPU through {means}; not tested, because there is no usable GPU image"
    )
    assert "floodrunner build --gpu builds it" in [finding.advice for finding in docker.examine(root)]


# This machine.


def test_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_DISTRO_NAME", "Debian")
    assert machine.wsl_version() == 0
    assert list(doctor._wsl(0)) == []
    assert only(doctor._wsl(1)) == Finding(
        "note",
        "WSL 1 is slow with many files, and has neither Docker nor GPUs",
        "in Windows' PowerShell: wsl --set-version Debian 2",
    )
    assert only(doctor._wsl(2)).level == "ok"


def test_the_file_system_of_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a drive").mkdir()
    monkeypatch.setattr(machine, "file_system", {tmp_path / "a drive": "9p"}.get)
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    monkeypatch.setattr(doctor, "_LITTLE_DISK", 0)
    finding = only(iter(doctor._folder(tmp_path / "a drive" / "runs")))
    assert finding.level == "note"
    assert "ten to a hundred times slower than Linux's own file system" in finding.text
    assert finding.advice == "keep the run folder and the data below ~, not below /mnt"
    monkeypatch.setattr(machine, "is_wsl", lambda: False)
    assert "network file system" in only(iter(doctor._folder(tmp_path / "a drive"))).advice


@pytest.mark.parametrize(
    ("driver", "is_wsl", "advice"),
    [
        ("525.60.11", False, "update the NVIDIA driver of this system: CUDA 12 needs 525.60.13 or later"),
        ("470.256.02", False, "update the NVIDIA driver of this system: CUDA 12 needs 525.60.13 or later"),
        ("516.94", True, "update the NVIDIA driver in Windows (not in Linux): CUDA 12 needs 528.33 or later"),
        ("525.60.13", False, ""),
        ("1000.1", False, ""),
        ("528.33", True, ""),
        ("[N/A]", False, ""),
    ],
)
def test_the_driver(monkeypatch: pytest.MonkeyPatch, driver: str, is_wsl: bool, advice: str) -> None:
    one = machine.Nvidia((machine.Gpu("NVIDIA H100", 85_520_809_984, (9, 0)),), driver, "")
    monkeypatch.setattr(machine, "nvidia", lambda: one)
    monkeypatch.setattr(machine, "is_wsl", lambda: is_wsl)
    finding = gpu.of_machine()
    assert finding.text.startswith(f"GPU: NVIDIA H100, 85.5 GB; driver {driver}")
    assert (finding.level, finding.advice) == ("note" if advice else "ok", advice)


def test_no_gpu_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = gpu.of_machine()
    assert (finding.level, finding.text) == ("note", "no NVIDIA GPU found (NVML Shared Library Not Found)")
    assert finding.advice.endswith("install the driver of this system again, or restart the machine")
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert "install the driver in Windows (not in Linux) again" in gpu.of_machine().advice


@pytest.mark.parametrize("usable", [True, False])
def test_packages_are_no_trouble_where_containers_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    monkeypatch.setattr(installed, "missing", lambda: ["numpy"])
    monkeypatch.setattr(doctor, "_keras", lambda root: Finding("ok", "Keras loads"))
    monkeypatch.setattr(docker, "examine", lambda root: [])
    monkeypatch.setattr(docker, "usable", lambda root: usable)
    *_, packages = doctor.examine(tmp_path)  # nobody asks whether Keras loads then
    advice = "make demo"
    if usable:
        assert packages == Finding("note", "not installed: numpy (steps in containers do not need it)", advice)
    else:
        assert packages == Finding("trouble", "not installed: numpy", advice)
