"""What doctor says of Docker, WSL and GPUs: with a real engine where there is one, else with what engines answer."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import json
import os
import platform
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner import docker_api, doctor, doctor_docker, images, machine
from runner.errors import UserError
from runner.finding import Finding

BASE = "debian:bookworm-slim"
REPORT = {
    "backend": "tensorflow",
    "cuda": {"cuda": "12.5.1", "cudnn": "9"},
    "driver": "550.54.15",
    "devices": [{"name": "NVIDIA H100", "compute_capability": "9.0"}],
    "errors": {"a 3D convolution": 0.0003},
    "right": True,
    "reason": "",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine is asked anew in each test; the machine has no GPU and is no WSL."""
    clear = [docker_api.connect.cache_clear, docker_api.info.cache_clear, images.find.cache_clear]
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
    assert only(doctor_docker.examine(root)) == Finding(
        "note",
        f"no Docker engine at unix://{tmp_path}/none.sock",
        "start Docker; without it steps run here (--engine local)",
    )
    assert doctor_docker.usable(root) is False


def test_an_engine_that_is_gone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket stays."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/s")
        finding = only(doctor_docker.examine(root))
    assert finding.level == "note"
    assert finding.text.startswith(f"the Docker engine at unix://{tmp_path}/s does not answer: ")
    assert finding.advice == "start Docker; without it steps run here (--engine local)"


def test_another_machines_engine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    finding = only(doctor_docker.examine(root))
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
    monkeypatch.setattr(docker_api, "SOCKET", tmp_path / "none.sock")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert machine.wsl_version() == version
    assert only(doctor_docker.examine(root)) == Finding("note", f"no Docker engine at {tmp_path}/none.sock", advice)


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
    monkeypatch.setattr(docker_api, "info", lambda: answer)
    monkeypatch.setattr(images, "find", lambda kind: None)
    return answer


def test_a_plain_engine(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOODRUNNER_IMAGE", raising=False)
    engine, owner, size, image, room = doctor_docker.examine(root)
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
    assert doctor_docker._owner() == Finding("ok", text)


def test_an_engine_for_windows_programs(root: Path, info: dict[str, Any]) -> None:
    info["OSType"] = "windows"
    finding = only(doctor_docker.examine(root))
    assert (finding.level, finding.advice) == ("note", "switch Docker Desktop to Linux containers")


def test_a_virtual_machine_with_less_than_this_one(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    info["MemTotal"] //= 3
    finding = doctor_docker._size(info)
    assert finding.level == "note"
    assert "less than half of this machine's" in finding.text
    assert finding.advice == "give them more: Docker Desktop's Settings, Resources"
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert doctor_docker._size(info).advice == "give them more: memory= and processors= in .wslconfig"
    info["MemTotal"], info["NCPU"] = psutil.virtual_memory().total, 0
    assert doctor_docker._size(info).level == "note"


def test_an_engine_with_little_memory(info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_docker, "_LITTLE_MEMORY", info["MemTotal"] + 1)
    assert doctor_docker._size(info).level == "note"


def test_room_for_the_images(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_docker, "_NEED_BYTES", {"cpu": 3e9, "gpu": 1e18})
    assert only(doctor_docker._room(info)).level == "ok"
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    finding = only(doctor_docker._room(info))
    assert finding.level == "note"
    assert finding.text.startswith(f"Docker's disk ({root}): ")
    info["DriverStatus"] = [["driver-type", "io.containerd.snapshotter.v1"]]
    monkeypatch.setattr(doctor_docker, "_CONTAINERD", root / "stages")
    assert only(doctor_docker._room(info)).text.startswith(f"Docker's disk ({root}/stages): ")
    info["Name"] = "docker-desktop"
    assert list(doctor_docker._room(info)) == []


def test_a_gpu_that_containers_are_not_given(root: Path, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor_docker._gpu(root)) == []
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    assert only(doctor_docker._gpu(root)) == Finding(
        "note",
        "containers are not given this machine's GPU",
        "install the NVIDIA container toolkit, then sudo nvidia-ctk runtime configure --runtime=docker, and restart Docker",
    )
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    assert only(doctor_docker._gpu(root)).advice.startswith(
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
    found = only(doctor_docker._gpu(root))
    assert found == Finding("ok", f"containers are given the GPU by {means}; not tried, for want of a usable image")
    assert "floodrunner build --gpu makes it" in [finding.advice for finding in doctor_docker.examine(root)]


# With a real engine.


@pytest.fixture
def make_image(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`make_image("gpu", script)`: an image of this source whose `python -m stages...` is a shell script."""
    from docker.errors import ImageNotFound

    try:
        client = docker_api.connect()
        client.images.get(BASE)
    except UserError as error:
        pytest.skip(f"needs a Docker engine: {error}")
    except ImageNotFound:
        pytest.skip(f"needs the image {BASE}")
    monkeypatch.setenv("FLOODRUNNER_IMAGE", f"floodrunner-doctor-test-{os.getpid()}")
    made = []

    def make(kind: str, script: str, source: str = "", backend: str = "tensorflow") -> None:
        folder = tmp_path / f"image-{len(made)}"
        folder.mkdir()
        (folder / "script").write_text(f'[ "$*" = "-m stages._gpu" ] || exit 9\n{script}\n')
        (folder / "Dockerfile").write_text(
            f"FROM {BASE}\nCOPY script /script\nENV KERAS_BACKEND={backend}\n"
            f"LABEL {images.SOURCE_LABEL}={source or images.source_hash(root)}\n"
            'ENTRYPOINT ["/bin/sh", "/script", "-m", "stages"]\n'
        )
        image, _ = client.images.build(path=str(folder), tag=images.name(kind), rm=True, forcerm=True)
        made.append(image)

    yield make
    left = client.containers.list(all=True, filters={"label": f"{doctor_docker.LABEL}={images.name('gpu')}"})
    for container in left:
        container.remove(force=True)
    for image in made:
        client.images.remove(image.id, force=True)
    assert not left


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU, as far as this machine and the engine say; containers are given nothing for it."""
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    monkeypatch.setattr(docker_api, "gpu_request", lambda: {"Driver": ""})


@pytest.fixture
def nothing_requested(gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.engines import docker

    real = docker.settings
    monkeypatch.setattr(docker, "settings", lambda *a, **k: {**real(*a, **k), "device_requests": None})


def test_images_of_this_source_and_of_another(root: Path, make_image: Callable[..., None]) -> None:
    make_image("cpu", "exit 1")
    make_image("gpu", "exit 1", source="another", backend="jax")
    assert doctor_docker.usable(root) is True
    cpu, gpu = (only(doctor_docker._image(kind, root)) for kind in ("cpu", "gpu"))
    image = images.get("cpu")
    assert cpu.level == "ok"
    assert cpu.text.startswith(f"image {images.name('cpu')}: {image.id[7:19]}, ")
    assert cpu.text.endswith(" MB, for tensorflow, holds this source")
    assert gpu.level == "note"
    assert gpu.text.startswith(f"the image {images.name('gpu')} holds another source than {root} (")
    assert gpu.text.endswith(" MB, for jax)")
    assert gpu.advice == "floodrunner build --gpu brings it up to date, in seconds"


@pytest.mark.usefixtures("nothing_requested")
@pytest.mark.parametrize(
    ("script", "finding"),
    [
        (f"echo a line of a library; echo '{json.dumps(REPORT)}'", Finding("ok", "the GPU computes in containers: NVIDIA H100 (compute capability 9.0); driver 550.54.15, cuda 12.5.1, cudnn 9; a 3D convolution differs by 3e-04 from the CPU's")),
        ("echo '{\"right\": false, \"reason\": \"tensorflow sees none; build it\"}'; echo W0000 Cannot dlopen some GPU libraries >&2; exit 1", Finding("note", "GPU in a container: tensorflow sees none (W0000 Cannot dlopen some GPU libraries)", "build it")),
        ("echo first >&2; echo F0000 Check failed >&2; kill -ABRT $$", Finding("note", "trying the GPU in a container ended with exit code 134: F0000 Check failed", "update the NVIDIA driver, and build the image again: floodrunner build --gpu")),
    ],
)  # fmt: skip
def test_the_gpu_is_tried_in_a_container(
    root: Path, make_image: Callable[..., None], script: str, finding: Finding
) -> None:
    make_image("gpu", script)
    label = {doctor_docker.LABEL: images.name("gpu")}
    left = docker_api.connect().containers.run(BASE, "true", labels=label, detach=True)  # by a doctor that was killed
    left.wait()
    assert only(doctor_docker._gpu(root)) == finding


@pytest.mark.usefixtures("nothing_requested")
def test_that_container_has_no_more_rights_than_a_step(root: Path, make_image: Callable[..., None]) -> None:
    look = "user $(id -u):$(id -g), networks $(ls /sys/class/net | tr '\\n' ' '), capabilities $(grep CapEff /proc/self/status | cut -f2), wrote $(touch /x 2>/dev/null && echo yes || echo no)"
    make_image("gpu", f'echo "{{\\"right\\": false, \\"reason\\": \\"{look}; advice\\"}}"; exit 1')
    finding = only(doctor_docker._gpu(root))
    user = "0:0" if docker_api.has_security("rootless") else f"{os.getuid()}:{os.getgid()}"
    assert finding.text == f"GPU in a container: user {user}, networks lo , capabilities 0000000000000000, wrote no"


@pytest.mark.usefixtures("nothing_requested")
def test_a_gpu_that_does_not_answer(
    root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("gpu", "exec sleep 100")
    monkeypatch.setattr(doctor_docker, "_TRIAL_TIMEOUT_S", 1)
    finding = only(doctor_docker._gpu(root))
    assert (finding.level, finding.text) == ("note", "the GPU did not answer from a container within 1 s")


def test_an_engine_that_promises_a_gpu_and_gives_none(
    root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the toolkit half installed looks like: the engine itself refuses."""
    from docker.types import DeviceRequest

    make_image("gpu", "exit 1")
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    request = DeviceRequest(driver="none-such", count=-1, capabilities=[["gpu"]])
    monkeypatch.setattr(docker_api, "gpu_request", lambda: request)
    finding = only(doctor_docker._gpu(root))
    assert finding.level == "note"
    assert finding.text.startswith("a container with the GPU does not start: could not select device driver")
    assert finding.advice.startswith("install the NVIDIA container toolkit")


@pytest.mark.usefixtures("gpu")
def test_a_gpu_that_tensorflow_lacks_is_not_tried(
    root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("gpu", "exit 1")
    monkeypatch.setattr(machine, "nvidia_smi", lambda query: {"compute_cap": ["8.9", "12.0"]}.get(query, []))
    finding = only(doctor_docker._gpu(root))
    assert finding == Finding(
        "note",
        f"TensorFlow, which {images.name('gpu')} is for, lacks this GPU's compute capability (12.0)",
        "floodrunner build --gpu --backend jax",
    )


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
    finding = doctor._gpu()
    assert (finding.level, finding.advice) == ("note" if advice else "ok", advice)


@pytest.mark.parametrize("usable", [True, False])
def test_packages_are_no_trouble_where_containers_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    monkeypatch.setattr(doctor, "_packages", lambda: [Finding("trouble", "not installed: numpy", "install it")])
    monkeypatch.setattr(doctor, "_tensorflow", lambda: Finding("ok", "Keras loads"))
    monkeypatch.setattr(doctor_docker, "examine", lambda root: [])
    monkeypatch.setattr(doctor_docker, "usable", lambda root: usable)
    packages, keras = list(doctor.examine(tmp_path))[-2:]
    assert keras == Finding("ok", "Keras loads")
    if usable:
        assert packages == Finding("note", "not installed: numpy (steps in containers do without)", "install it")
    else:
        assert packages == Finding("trouble", "not installed: numpy", "install it")
