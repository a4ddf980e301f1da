"""`floodrunner build` as far as it goes without an engine: what is built by what, what builders say, what fails how."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner import machine
from runner.build import buildkit, image
from runner.build.buildkit import Order
from runner.engines.docker import client, images
from runner.errors import UserError

if TYPE_CHECKING:
    from conftest import House

ROOT = Path(__file__).resolve().parents[3]
ORDER = Order(
    "floodrunner:cpu-7", "Dockerfile.cpu", {"BASE_IMAGE": "debian:x=y"}, {"b": "two words", "a": "1"}, "host", True
)


# What is built


@pytest.fixture
def this_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`this_machine(gpus=["RTX"], given=True, capabilities=["8.9"])`"""

    def pretend(gpus: list[str], given: bool, capabilities: list[str] | None = None) -> None:
        monkeypatch.setattr(machine, "gpus", lambda: gpus)
        monkeypatch.setattr(machine, "nvidia_smi", lambda query: capabilities or [])
        monkeypatch.setattr(client, "gpu_request", lambda: object() if given else None)
        monkeypatch.setattr(client, "image", lambda name: None)

    return pretend


def test_what_a_machine_needs(this_machine: Callable[..., None]) -> None:
    this_machine([], given=True)
    assert image.choose(False, False, None) == ({"cpu": {}}, [])
    this_machine(["RTX 4090"], given=True, capabilities=["8.9"])
    assert image.choose(False, False, None) == ({"cpu": {}, "gpu": {"BACKEND": "tensorflow"}}, [])
    assert image.choose(True, False, None) == ({"cpu": {}}, [])
    assert image.choose(False, True, None) == ({"gpu": {"BACKEND": "tensorflow"}}, [])
    assert image.choose(False, True, "jax") == ({"gpu": {"BACKEND": "jax"}}, [])
    assert image.choose(False, False, "jax") == ({"cpu": {}, "gpu": {"BACKEND": "jax"}}, [])
    this_machine(["RTX 4090"], given=False)
    wanted, notes = image.choose(False, False, None)
    assert wanted == {"cpu": {}}
    assert notes == [
        "only the CPU image: the engine cannot give this machine's GPU (RTX 4090) to containers; "
        "floodrunner doctor says what to install, --gpu builds its image all the same"
    ]


def test_new_gpus_get_jax(this_machine: Callable[..., None]) -> None:
    """One of several is enough: JAX runs on all."""
    this_machine(["RTX 4090", "RTX 5090"], given=True, capabilities=["8.9", "12.0"])
    wanted, notes = image.choose(False, False, None)
    assert wanted["gpu"] == {"BACKEND": "jax"}
    assert notes == [
        "the GPU image is for JAX: TensorFlow fails on GPUs of compute capability 12.0 and above, and this one has 12.0"
    ]
    assert image.choose(False, True, "tensorflow") == ({"gpu": {"BACKEND": "tensorflow"}}, [])
    this_machine(["?"], given=True, capabilities=["[N/A]"])
    assert image.choose(False, True, None) == ({"gpu": {"BACKEND": "tensorflow"}}, [])


def test_backend_of_the_present_image_stays(this_machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    class Present:
        attrs = {"Config": {"Env": ["KERAS_BACKEND=jax"]}}  # noqa: RUF012 -- as the SDK's

    this_machine(["RTX 4090"], given=True, capabilities=["8.9"])
    monkeypatch.setattr(client, "image", lambda name: Present if name == "floodrunner:gpu" else None)
    wanted, notes = image.choose(False, True, None)
    assert wanted == {"gpu": {"BACKEND": "jax"}}
    assert notes == ["the GPU image is for JAX, as the present one; --backend tensorflow changes that"]


def test_refused_before_anything_is_sent(house: House) -> None:
    ended = house("build", "--cpu", "--backend", "jax")
    assert (ended.code, ended.error) == (2, "--backend jax: is of the GPU image; add --gpu, or leave it out")
    ended = house("build", "--cpu")
    assert ended.code == 2
    assert ended.error == (
        f"{house.code}/Dockerfile.cpu: there is no such file; images are built in a checkout of Floodrunner, by its "
        ".venv/bin/floodrunner, not by an installed package"
    )
    (house.code / "Dockerfile.cpu").write_text("FROM scratch\n")
    ended = house("build", "--cpu")
    assert ended.code == 2
    assert ended.error.startswith("no Docker engine at unix:///nowhere.sock; start Docker")
    house.environment["FLOODRUNNER_IMAGE"] = "Two Words"
    ended = house("build", "--cpu")
    assert ended.code == 2
    assert ended.error.startswith("FLOODRUNNER_IMAGE: 'Two Words' cannot be an image's name; use small letters")


def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = {"DockerRootDir": str(tmp_path)}
    monkeypatch.setattr(client, "info", lambda: info)
    free = shutil.disk_usage(tmp_path).free
    image._check_room("floodrunner:gpu", free / 2)
    with pytest.raises(UserError) as caught:
        image._check_room("floodrunner:gpu", free * 2)
    assert str(caught.value).startswith("floodrunner:gpu needs about ")
    assert f"and {tmp_path} has " in str(caught.value)
    assert "B free; make room there" in str(caught.value)
    info["OperatingSystem"] = "Docker Desktop"  # that folder is one of its machine's, not of this
    image._check_room("floodrunner:gpu", free * 2)
    monkeypatch.setattr(client, "info", lambda: {"DockerRootDir": "/nowhere/docker"})
    image._check_room("floodrunner:gpu", free * 2)


# By what


def test_arguments() -> None:
    assert buildkit.arguments(("docker", "build"), ORDER) == (
        *("docker", "build", "--progress", "plain", "--file", "Dockerfile.cpu", "--tag", "floodrunner:cpu-7"),
        *("--network", "host", "--build-arg", "BASE_IMAGE=debian:x=y", "--label", "a=1", "--label", "b=two words", "-"),
    )
    assert buildkit.arguments(("docker",), Order("t", "f", {}, {}, "default", False))[-2:] == ("--no-cache", "-")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"buildx": "github.com/docker/buildx v0.14", "--version": "Docker version 28.2.2, build e6534b4"}, "buildx"),
        ({"--version": "Docker version 28.2.2, build e6534b4"}, ""),
        ({"--version": "Docker version 23.0.1, build a5ee5b1"}, ""),
        ({"--version": "Docker version 20.10.24+dfsg1, build 297e128"}, "build"),
        ({"--version": "podman version 4.3.1"}, ""),
        ({}, ""),
    ],
)
def test_which_builder(answers: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    cases = "".join(f"{argument}) echo '{answer}';;\n" for argument, answer in answers.items())
    docker.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}*) exit 1;;\nesac\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = buildkit.buildkit_command()
    assert command[1:2] == ((expected,) if expected else ())
    assert command[:1] == ((str(docker),) if expected else ())


def test_no_docker_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert buildkit.buildkit_command() == ()


# Out of what


def make_context(folder: Path, mode: int) -> Path:
    (folder / "stages" / "__pycache__").mkdir(parents=True)
    for name in ("Dockerfile.cpu", "stages/a.py", "stages/__pycache__/a.pyc", "secret.txt"):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
    (folder / ".dockerignore").write_text("# few\n*\n\n!stages\n**/__pycache__\n")
    return folder


def test_context_is_the_same_for_everybody(tmp_path: Path) -> None:
    """Its bytes depend on names and contents, not on who checked out when with which umask."""
    import tarfile

    one, other = make_context(tmp_path / "one", 0o600), make_context(tmp_path / "other", 0o664)
    os.utime(other / "stages" / "a.py", (1, 1))
    (other / "secret.txt").write_text("another")
    (other / "stages" / "__pycache__" / "a.pyc").write_text("another")
    archive = buildkit.context(one, "Dockerfile.cpu")
    assert archive == buildkit.context(other, "Dockerfile.cpu")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {entry.name: entry.mode for entry in tar if entry.name != ".dockerignore"}
        content = tar.extractfile("stages/a.py")
        assert content is not None
        assert content.read() == b"stages/a.py"
    assert found == {"Dockerfile.cpu": 0o644, "stages": 0o755, "stages/a.py": 0o644}
    (other / "stages" / "a.py").write_text("stages/b.py")
    assert archive != buildkit.context(other, "Dockerfile.cpu")


def test_recipe_counts_all_that_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Base:
        id = "sha256:1"

    monkeypatch.setattr(client, "image", lambda name: Base)
    recipes = {
        image._recipe(ORDER, "debian", b"source"),
        image._recipe(ORDER, "debian", b"other source"),
        image._recipe(Order("t", "Dockerfile.cpu", {"BACKEND": "jax"}, {}, "host", True), "debian", b"source"),
    }
    Base.id = "sha256:2"
    recipes.add(image._recipe(ORDER, "debian", b"source"))
    assert len(recipes) == 4
    same = Order("another:cpu-8", "Dockerfile.cpu", ORDER.args, {"created": "now"}, "default", True)
    assert image._recipe(same, "debian", b"source") in recipes


def test_environment_is_what_goes_into_an_image_besides_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "image", lambda name: None)
    for name in (".dockerignore", "Dockerfile.cpu", "Dockerfile.gpu"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in (
        "stages/a.py",
        "segmentation/b.py",
        "requirements/cpu.txt",
        "requirements/gpu.txt",
        "containers/prove_cuda.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    def of(kind: str, base: str = "debian@sha256:1", **args: str) -> str:
        return image._environment(images.ingredients(tmp_path, kind), args, base)

    cpu, gpu = of("cpu"), of("gpu")
    assert cpu != gpu
    assert of("cpu", BASE_IMAGE="debian@sha256:1") == cpu  # said twice
    assert of("cpu", base="debian@sha256:2") != cpu
    assert of("gpu", BACKEND="jax") != gpu
    (tmp_path / "stages" / "a.py").write_text("changed")
    assert (of("cpu"), of("gpu")) == (cpu, gpu)
    for name in ("requirements/gpu.txt", "containers/prove_cuda.py"):
        (tmp_path / name).write_text("changed")
        assert of("cpu") == cpu
        assert of("gpu") != gpu
        gpu = of("gpu")
    (tmp_path / "requirements" / "cpu.txt").write_text("changed")
    assert of("cpu") != cpu
    assert of("gpu") == gpu


def test_comments_in_a_dockerfile_do_not_count(tmp_path: Path) -> None:
    """But what stands in a step does, and what looks like a comment and tells the builder how to read."""
    (tmp_path / "stages").mkdir()

    def of(*lines: str) -> str:
        (tmp_path / "Dockerfile.cpu").write_text("\n".join(lines))
        return images.ingredients(tmp_path, "cpu")

    plain = of("FROM debian", "RUN a \\", " && b", "COPY stages /stages")
    assert of("# All.", "FROM debian", "", "  # why", "RUN a \\", "# more", " && b", "COPY stages /stages") == plain
    assert of("# COPY stages /x", "FROM debian", "RUN a \\", " && b", "COPY stages /stages", "") == plain
    assert of("FROM debian", "RUN a \\", " && c", "COPY stages /stages") != plain
    assert of("FROM debian", "RUN a # \\", " && b", "COPY stages /stages") != plain
    assert of("# escape=`", "FROM debian", "RUN a \\", " && b", "COPY stages /stages") != plain


def test_what_editors_leave_is_neither_hashed_nor_built(tmp_path: Path) -> None:
    """The hash of the source and .dockerignore say the same; a file more of ours is in both."""
    import tarfile

    (tmp_path / ".dockerignore").write_bytes((ROOT / ".dockerignore").read_bytes())
    for name in ("Dockerfile.cpu", "stages/a.py", "stages/data/b.txt", "segmentation/c~d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    def found() -> tuple[str, set[str]]:
        with tarfile.open(fileobj=io.BytesIO(buildkit.context(tmp_path, "Dockerfile.cpu"))) as tar:
            files = {entry.name for entry in tar if entry.isreg()}
        return images.source_hash(tmp_path), files - {".dockerignore", "Dockerfile.cpu"}

    before = found()
    assert before[1] == {"stages/a.py", "stages/data/b.txt", "segmentation/c~d.py"}
    for name in (
        *("stages/.a.py.swp", "stages/a.py~", "segmentation/.DS_Store", "stages/data/.b.txt.swp", "stages/data/b.txt~"),
        *("stages/.ipynb_checkpoints/a.py", "segmentation/__pycache__/c.pyc", "stages/.#a.py"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("an editor's")
        assert found() == before, name
    (tmp_path / "stages" / "data" / "more").write_text("ours")
    assert found()[0] != before[0]
    assert found()[1] == before[1] | {"stages/data/more"}
