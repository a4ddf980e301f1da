"""`floodrunner build` as far as it goes without an engine: which images it builds, and what it labels them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floodrunner.runner import machine
from floodrunner.runner.build import image
from floodrunner.runner.engines.docker import client, images

if TYPE_CHECKING:
    from conftest import House

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def this_machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`this_machine(["RTX"], given=True, capabilities=[(8, 9)])`"""

    def pretend(gpus: list[str], given: bool, capabilities: Sequence[tuple[int, int]] = ()) -> None:
        found = tuple(machine.Gpu(name, 1, capability) for name, capability in zip(gpus, capabilities, strict=False))
        monkeypatch.setattr(machine, "gpus", lambda: gpus)
        monkeypatch.setattr(machine, "nvidia", lambda: machine.Nvidia(found, "", ""))
        monkeypatch.setattr(client, "gpu_request", lambda: object() if given else None)
        monkeypatch.setattr(client, "image", lambda name: None)

    return pretend


def test_what_a_machine_needs(this_machine: Callable[..., None]) -> None:
    this_machine([], given=True)
    assert image.choose(False, False, None) == ({"cpu": {}}, [])
    this_machine(["RTX 4090"], given=True, capabilities=[(8, 9)])
    assert image.choose(False, False, None) == ({"cpu": {}, "gpu": {"BACKEND": "tensorflow"}}, [])
    assert image.choose(True, False, None) == ({"cpu": {}}, [])
    assert image.choose(False, True, None) == ({"gpu": {"BACKEND": "tensorflow"}}, [])
    assert image.choose(False, True, "jax") == ({"gpu": {"BACKEND": "jax"}}, [])
    assert image.choose(False, False, "jax") == ({"cpu": {}, "gpu": {"BACKEND": "jax"}}, [])
    this_machine(["RTX 4090"], given=False)
    wanted, notes = image.choose(False, False, None)
    assert wanted == {"cpu": {}}
    assert notes == [
        "builds only the CPU image: the engine cannot give this machine's GPU (RTX 4090) to containers; "
        "floodrunner doctor says what to install, --gpu builds the GPU image anyway"
    ]


def test_new_gpus_get_jax(this_machine: Callable[..., None]) -> None:
    """One of several is enough: JAX runs on all."""
    this_machine(["RTX 4090", "RTX 5090"], given=True, capabilities=[(8, 9), (12, 0)])
    wanted, notes = image.choose(False, False, None)
    assert wanted["gpu"] == {"BACKEND": "jax"}
    assert notes == [
        "the GPU image is for JAX: TensorFlow fails on GPUs of compute capability 12.0 and above, "
        "and this machine's GPU has 12.0"
    ]
    assert image.choose(False, True, "tensorflow") == ({"gpu": {"BACKEND": "tensorflow"}}, [])
    this_machine(["?"], given=True)
    assert image.choose(False, True, None) == ({"gpu": {"BACKEND": "tensorflow"}}, [])


def test_backend_of_the_present_image_stays(this_machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    class Present:
        attrs = {"Config": {"Env": ["KERAS_BACKEND=jax"]}}  # noqa: RUF012 -- as the SDK's

    this_machine(["RTX 4090"], given=True, capabilities=[(8, 9)])
    monkeypatch.setattr(client, "image", lambda name: Present if name == "floodrunner:gpu" else None)
    wanted, notes = image.choose(False, True, None)
    assert wanted == {"gpu": {"BACKEND": "jax"}}
    assert notes == ["the GPU image is for JAX, like the present one; --backend tensorflow changes that"]


def test_refused_before_anything_is_sent(house: House) -> None:
    ended = house("build", "--cpu", "--backend", "jax")
    assert (ended.code, ended.error) == (
        2,
        "--backend jax: only the GPU image has a choice of backend; add --gpu, or omit --backend",
    )
    ended = house("build", "--cpu")
    assert ended.code == 2
    assert ended.error == (
        f"{house.code}/Dockerfile.cpu: there is no such file; it is part of Floodrunner: install it again"
    )
    (house.code / "Dockerfile.cpu").write_text("FROM scratch\n")
    ended = house("build", "--cpu")
    assert ended.code == 2
    assert ended.error.startswith("no Docker engine at unix:///nowhere.sock; start Docker")
    house.environment["FLOODRUNNER_IMAGE"] = "Two Words"
    ended = house("build", "--cpu")
    assert ended.code == 2
    assert ended.error.startswith("FLOODRUNNER_IMAGE: 'Two Words' cannot be an image's name; use lower-case letters")


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
