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

from runner import doctor, machine
from runner.doctor import docker, gpu
from runner.doctor.finding import Finding
from runner.engines import local
from runner.engines.docker import client, images


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine is asked anew in each test; the machine has no GPU and is no WSL."""
    cached = [client.connect, client.quick, client.info, images.find]
    clear = [each.cache_clear for each in cached]
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr(machine, "nvidia_smi", lambda query: [])
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
        "start Docker; without it steps run here (--engine local)",
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
    assert finding.advice == "start Docker; without it steps run here (--engine local)"


def test_another_machines_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    finding = only(docker.examine(root))
    assert finding.text == "the Docker engine at tcp://elsewhere:2375 is not on this machine and does not see its files"
    assert finding.advice.startswith("run Floodrunner there, or unset DOCKER_HOST")


@pytest.mark.parametrize(
    ("release", "version", "advice"),
    [
        ("4.4.0-22621-Microsoft", 1, "Docker needs WSL 2; without it steps run here (--engine local)"),
        (
            "5.15.167.4-microsoft-standard-WSL2",
            2,
            "install Docker Desktop in Windows and switch on its WSL integration for this distribution (Settings, Resources), or install Docker in here; without it steps run here (--engine local)",
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
        "ok", f"containers: steps run as this user ({os.getuid()}:{os.getgid()}); what they write is this user's"
    )
    assert size.level == "ok"
    assert image == Finding("note", "there is no image floodrunner:cpu", "floodrunner build --cpu makes it")
    assert room.text.endswith(" free, building the images takes about 3.0 GB")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["name=rootless"],
            "containers: the engine is rootless: root in a container is this user outside; what they write is this user's",
        ),
        (
            ["name=userns"],
            f"containers: steps run as this user ({os.getuid()}:{os.getgid()}), without the engine's userns-remap; what they write is this user's",
        ),
        (
            ["name=selinux"],
            f"containers: steps run as this user ({os.getuid()}:{os.getgid()}), without SELinux's labels, which would hide mounted files; what they write is this user's",
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
    assert finding.advice == "give them more: Docker Desktop's Settings, Resources"
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert docker._size(info).advice == "give them more: memory= and processors= in .wslconfig"
    info["MemTotal"], info["NCPU"] = psutil.virtual_memory().total, 0
    assert docker._size(info).level == "note"


def test_an_engine_with_little_memory(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_LITTLE_MEMORY", info["MemTotal"] + 1)
    assert docker._size(info).level == "note"


def test_room_for_the_images(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_NEED_BYTES", {"cpu": 3e9, "gpu": 1e18})
    assert only(docker._room(info)).level == "ok"
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    finding = only(docker._room(info))
    assert finding.level == "note"
    assert finding.text.startswith(f"Docker's disk ({root}): ")
    info["DriverStatus"] = [["driver-type", "io.containerd.snapshotter.v1"]]
    monkeypatch.setattr(docker, "_CONTAINERD", root / "stages")
    assert only(docker._room(info)).text.startswith(f"Docker's disk ({root}/stages): ")
    info["Name"] = "docker-desktop"
    assert list(docker._room(info)) == []


def test_a_gpu_that_containers_are_not_given(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(gpu.in_containers(root)) == []
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    assert only(gpu.in_containers(root)) == Finding(
        "note",
        "containers are not given this machine's GPU",
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
    assert found == Finding("ok", f"containers are given the GPU by {means}; not tried, for want of a usable image")
    assert "floodrunner build --gpu makes it" in [finding.advice for finding in docker.examine(root)]


# This machine.


def test_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSL_DISTRO_NAME", "Debian")
    assert machine.wsl_version() == 0
    assert list(doctor._wsl(0)) == []
    assert only(doctor._wsl(1)) == Finding(
        "note",
        "WSL 1: slow with many files, and without Docker and GPUs",
        "in Windows' PowerShell: wsl --set-version Debian 2",
    )
    assert only(doctor._wsl(2)).level == "ok"


def test_the_file_system_of_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    (tmp_path / "a drive").mkdir()
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nC:\\134 {tmp_path}/a\\040drive 9p rw 0 0\n")
    monkeypatch.setattr(machine, "_MOUNTS", mounts)
    assert machine.file_system(tmp_path / "a drive" / "runs") == "9p"
    assert machine.file_system(tmp_path / "a") == "ext4"
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
        ("525.60.11", False, "update the NVIDIA driver of the system: CUDA 12 needs 525.60.13 or later"),
        ("470.256.02", False, "update the NVIDIA driver of the system: CUDA 12 needs 525.60.13 or later"),
        ("516.94", True, "update the NVIDIA driver in Windows (not in Linux): CUDA 12 needs 528.33 or later"),
        ("525.60.13", False, ""),
        ("1000.1", False, ""),
        ("528.33", True, ""),
        ("[N/A]", False, ""),
    ],
)
def test_the_driver(monkeypatch: pytest.MonkeyPatch, driver: str, is_wsl: bool, advice: str) -> None:
    monkeypatch.setattr(machine, "nvidia_smi", lambda query: [f"NVIDIA H100, 81559 MiB, {driver}"])
    monkeypatch.setattr(machine, "is_wsl", lambda: is_wsl)
    finding = gpu.of_machine()
    assert (finding.level, finding.advice) == ("note" if advice else "ok", advice)


@pytest.mark.parametrize("usable", [True, False])
def test_packages_are_no_trouble_where_containers_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    monkeypatch.setattr(local, "missing", lambda: ["numpy"])
    monkeypatch.setattr(doctor, "_tensorflow", lambda: Finding("ok", "Keras loads"))
    monkeypatch.setattr(docker, "examine", lambda root: [])
    monkeypatch.setattr(docker, "usable", lambda root: usable)
    *_, packages = doctor.examine(tmp_path)  # nobody asks whether Keras loads then
    advice = "run 'make test' or 'make demo' once"
    if usable:
        assert packages == Finding("note", "not installed: numpy (steps in containers do without)", advice)
    else:
        assert packages == Finding("trouble", "not installed: numpy", advice)
