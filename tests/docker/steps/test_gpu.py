"""Steps that ask for a GPU, on an engine that has none to give."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from floodrunner.runner import machine
from floodrunner.runner.engines.docker import client
from tests.docker.conftest import image_name
from tests.docker.steps.conftest import Ship

GPU = "name: demo\nsteps:\n  first: {stage: look}\n  train: {stage: look, gpu: true}\n"


@pytest.fixture(autouse=True)
def no_gpu(ship: Ship) -> None:
    if machine.gpus() or client.gpu_request() is not None:
        pytest.skip("this machine has a GPU, or its engine could give one")


def test_without_a_gpu_a_step_runs_on_the_cpu(ship: Ship, left_behind: Callable[[], list[str]]) -> None:
    ship.pipeline(GPU)
    ended = ship.run()
    assert ended.code == 0, ended.err
    note = "no GPU found: train will run on the CPU, which is slower (floodrunner doctor says more)"
    assert ended.out.count(note) == 1
    assert list(ship.report["engine"]["images"]) == [image_name(ship.house)]
    assert ship.report["steps"]["train"]["engine"]["image"].startswith("cpu ")
    assert left_behind() == []


@pytest.fixture
def believes_in_a_gpu(ship: Ship, no_gpu: None) -> Iterator[None]:
    """The machine has a GPU, and the toolkit's hook is found; the engine knows nothing of it: it was not restarted."""
    script = 'from floodrunner.runner import machine\n\nmachine.gpus = lambda: ["NVIDIA H100"]\n'
    (ship.house.code / "sitecustomize.py").write_text(script)  # Python runs it first
    tools = ship.work / "tools"
    tools.mkdir()
    (tools / "nvidia-container-runtime-hook").write_text("#!/bin/sh\n")
    (tools / "nvidia-container-runtime-hook").chmod(0o755)
    ship.house.environment["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    name = ship.house.environment["FLOODRUNNER_IMAGE"]
    ship.engine.images.get(f"{name}:cpu").tag(name, "gpu")
    yield
    ship.engine.images.remove(f"{name}:gpu", noprune=True)


def test_a_gpu_that_the_engine_cannot_give(
    ship: Ship, believes_in_a_gpu: None, left_behind: Callable[[], list[str]]
) -> None:
    ship.pipeline(GPU)
    ended = ship.run()
    assert ended.code == 2
    assert ended.error.startswith(f"step train: the Docker engine at {client.address()} cannot give the step a GPU: ")
    assert "could not select device driver" in ended.error
    assert ended.error.endswith(
        "; floodrunner doctor says what to install; with gpu: false in the pipeline, the step runs on the CPU"
    )
    assert left_behind() == []
    assert ship.report["steps"]["first"]["status"] == "done"
    assert ship.report["steps"]["train"]["status"] == "bad-input"
    assert ship.report["status"] == "bad-input"
    ship.pipeline(GPU.replace("gpu: true", "gpu: false"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert left_behind() == []
