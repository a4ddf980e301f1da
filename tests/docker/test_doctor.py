"""doctor asks a real engine, and tries a GPU in its containers; what the GPU would answer comes from a script."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floodrunner.runner import machine
from floodrunner.runner.doctor import docker as doctor_docker
from floodrunner.runner.doctor import gpu as doctor_gpu
from floodrunner.runner.doctor.finding import Finding
from floodrunner.runner.engines.docker import client, images
from tests.docker.conftest import BASE_IMAGE
from tests.runner.doctor.test_doctor import only

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

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
    """Images are looked for anew; the machine says that it has a GPU."""
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    monkeypatch.setattr(machine, "nvidia", lambda: machine.Nvidia((), "", ""))
    monkeypatch.setattr(machine, "is_wsl", lambda: False)
    images.find.cache_clear()
    yield
    images.find.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("stages", "segmentation"):
        (tmp_path / "code" / name).mkdir(parents=True)
    (tmp_path / "code/stages/a.py").write_text("A = 1\n")
    return tmp_path / "code"


@pytest.fixture
def make_image(
    engine: DockerClient, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """`make_image("gpu", script)`: an image of this source whose `python -m floodrunner.stages...` is a shell script."""
    monkeypatch.setenv("FLOODRUNNER_IMAGE", f"floodrunner-doctor-test-{os.getpid()}")
    made = []

    def make(kind: str, script: str, source: str = "", backend: str = "tensorflow") -> None:
        folder = tmp_path / f"image-{len(made)}"
        folder.mkdir()
        (folder / "script").write_text(f'[ "$*" = "-m floodrunner.stages._gpu" ] || exit 9\n{script}\n')
        (folder / "Dockerfile").write_text(
            f"FROM {BASE_IMAGE}\nCOPY script /script\nENV KERAS_BACKEND={backend}\n"
            f"LABEL {images.SOURCE_LABEL}={source or images.source_hash(root)} {images.ENVIRONMENT_LABEL}=none "
            f"{images.INGREDIENTS_LABEL}={images.ingredients(root, kind)}\n"
            'ENTRYPOINT ["/bin/sh", "/script", "-m", "floodrunner.stages"]\n'
        )
        image, _ = engine.images.build(path=str(folder), tag=images.name(kind), rm=True, forcerm=True)
        made.append(image)

    yield make
    left = of_doctors(engine)
    for container in left:
        container.remove(force=True)
    for image in made:
        engine.images.remove(image.id, force=True)
    assert not left


def of_doctors(engine: DockerClient) -> list[Container]:
    """Containers of this test's image that a doctor has made, found by their whole list, not by doctor's own label."""
    ours = [each for each in engine.containers.list(all=True, ignore_removed=True) if "try-gpu" in each.name]
    return [each for each in ours if each.labels.get(doctor_gpu.LABEL) == images.name("gpu")]


@pytest.fixture
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine says that it can give containers a GPU, and gives none."""
    from floodrunner.runner.engines import docker

    monkeypatch.setattr(client, "gpu_request", lambda: {"Driver": ""})
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
    assert cpu.text.endswith(" MB, for tensorflow, contains this source")
    assert gpu.level == "note"
    assert gpu.text.startswith(f"the image {images.name('gpu')} does not match the source in {root} (")
    assert gpu.text.endswith(" MB, for jax)")
    assert gpu.advice == "floodrunner build --gpu brings it up to date, in seconds"


@pytest.mark.usefixtures("no_device")
@pytest.mark.parametrize(
    ("script", "finding"),
    [
        (f"echo a line of a library; echo '{json.dumps(REPORT)}'", Finding("ok", "the GPU computes in containers: NVIDIA H100 (compute capability 9.0); driver 550.54.15, cuda 12.5.1, cudnn 9; a 3D convolution differs by 3e-04 from the CPU")),
        ("echo '{\"right\": false, \"reason\": \"tensorflow sees none; build it\"}'; echo W0000 Cannot dlopen some GPU libraries >&2; exit 1", Finding("trouble", "GPU in a container: tensorflow sees none (W0000 Cannot dlopen some GPU libraries)", "build it")),
        ("echo first >&2; echo F0000 Check failed >&2; kill -ABRT $$", Finding("trouble", "testing the GPU in a container ended with exit code 134: F0000 Check failed", "update the NVIDIA driver, and build the image again (floodrunner build --gpu)")),
    ],
)  # fmt: skip
def test_the_gpu_is_tried_in_a_container(
    root: Path, make_image: Callable[..., None], script: str, finding: Finding
) -> None:
    make_image("gpu", script)
    assert only(doctor_gpu.in_containers(root)) == finding


@pytest.mark.usefixtures("no_device")
def test_what_a_killed_doctor_has_left_goes(
    engine: DockerClient, root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed before its container had started, while it ran, or before it was removed. One that runs may be
    that of another doctor, who is at work."""
    from docker.models.containers import Container

    make_image("gpu", "exec sleep 100")
    monkeypatch.setattr(doctor_gpu, "_TRIAL_TIMEOUT_S", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Container, "remove", lambda *_, **__: None)
        assert only(doctor_gpu.in_containers(root)).level == "trouble"
        (ended,) = of_doctors(engine)
        ended.kill()
        assert only(doctor_gpu.in_containers(root)).level == "trouble"
        patch.setattr(Container, "start", lambda container: None)
        patch.setattr(Container, "wait", lambda *_, **__: {"StatusCode": 9})
        assert only(doctor_gpu.in_containers(root)).level == "trouble"
    assert sorted(each.status for each in of_doctors(engine)) == ["created", "exited", "running"]
    assert only(doctor_gpu.in_containers(root)).level == "trouble"
    (left,) = of_doctors(engine)
    assert left.status == "running"
    left.remove(force=True)


@pytest.mark.usefixtures("no_device")
def test_that_container_has_no_more_rights_than_a_step(root: Path, make_image: Callable[..., None]) -> None:
    look = "user $(id -u):$(id -g), networks $(ls /sys/class/net | tr '\\n' ' '), capabilities $(grep CapEff /proc/self/status | cut -f2), wrote $(touch /x 2>/dev/null && echo yes || echo no)"
    make_image("gpu", f'echo "{{\\"right\\": false, \\"reason\\": \\"{look}; advice\\"}}"; exit 1')
    finding = only(doctor_gpu.in_containers(root))
    user = "0:0" if client.has_security("rootless") else f"{os.getuid()}:{os.getgid()}"
    assert finding.text == f"GPU in a container: user {user}, networks lo , capabilities 0000000000000000, wrote no"


@pytest.mark.usefixtures("no_device")
def test_a_gpu_that_does_not_answer(
    root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("gpu", "exec sleep 100")
    monkeypatch.setattr(doctor_gpu, "_TRIAL_TIMEOUT_S", 1)
    finding = only(doctor_gpu.in_containers(root))
    assert (finding.level, finding.text) == ("trouble", "the GPU did not answer from a container within 1 s")


def test_an_engine_that_promises_a_gpu_and_gives_none(
    root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the toolkit half installed looks like: the engine itself refuses."""
    from docker.types import DeviceRequest

    make_image("gpu", "exit 1")
    request = DeviceRequest(driver="none-such", count=-1, capabilities=[["gpu"]])
    monkeypatch.setattr(client, "gpu_request", lambda: request)
    finding = only(doctor_gpu.in_containers(root))
    assert finding.level == "trouble"
    assert finding.text.startswith("a container with the GPU does not start: could not select device driver")
    assert finding.advice.startswith("install the NVIDIA container toolkit")


@pytest.mark.usefixtures("no_device")
def test_a_gpu_that_tensorflow_lacks_is_not_tried(
    root: Path, make_image: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("gpu", "exit 1")
    gpus = tuple(machine.Gpu("RTX", 1, capability) for capability in ((8, 9), (12, 0)))
    monkeypatch.setattr(machine, "nvidia", lambda: machine.Nvidia(gpus, "", ""))
    finding = only(doctor_gpu.in_containers(root))
    assert finding == Finding(
        "trouble",
        f"{images.name('gpu')} is built for TensorFlow, which has no code for this GPU's compute capability (12.0)",
        "floodrunner build --gpu --backend jax",
    )


@pytest.mark.usefixtures("no_device")
def test_the_real_image_answers(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to write to but `/tmp`, and as a user that it does not know."""
    monkeypatch.setenv("FLOODRUNNER_IMAGE", image.partition(":")[0])
    assert doctor_gpu._tried(images.get("cpu")) == Finding(
        "trouble",
        "GPU in a container: tensorflow sees no GPU: it was installed for the CPU alone",
        "use the GPU image: floodrunner build --gpu",
    )
