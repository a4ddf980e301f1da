"""A real engine, the real image, and houses that build an image of their tiny stages. Skipped without an engine.

FLOODRUNNER_TEST_BASE_IMAGE names the base image, which must be here: nothing is pulled.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floodrunner.runner.engines.docker import client as docker_api
from floodrunner.runner.errors import UserError
from tests.runner.conftest import REPOSITORY, House, wait_for

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["wait_for"]  # a fixture

BASE_IMAGE = os.environ.get("FLOODRUNNER_TEST_BASE_IMAGE") or "debian:bookworm-slim"
BUILD = ("build", "--cpu", "--base-image", BASE_IMAGE, "--network", "host")
SESSION = secrets.token_hex(4)
"""Keeps the layer caches of two sessions apart: one would go on from what the other has just built, or removes."""
BUILD_S = 900
"""What the installation of all libraries may take, once; later builds find it in the engine's cache."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def to_ourselves() -> Iterator[None]:
    """No other worker or session of these tests: some of them stop the engine."""
    with open(Path(tempfile.gettempdir()) / "floodrunner-test-engine.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("another pytest worker or session uses the Docker engine; run one at a time")
        yield


@pytest.fixture(scope="session")
def engine(to_ourselves: None) -> DockerClient:
    """The engine, which has the base image."""
    from docker.errors import ImageNotFound

    try:
        client = docker_api.connect()
        client.images.get(BASE_IMAGE)
    except UserError as error:
        pytest.skip(f"needs a Docker engine: {error}")
    except ImageNotFound:
        pytest.skip(f"needs the base image {BASE_IMAGE}; FLOODRUNNER_TEST_BASE_IMAGE names another")
    return client


@pytest.fixture(scope="session")
def image(engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """`floodrunner-test:cpu`, of the checkout as it is. It stays: the next session finds it up to date."""
    checkout = House(REPOSITORY, tmp_path_factory.mktemp("image"), on_engine("floodrunner-test"))
    ended = checkout(*BUILD, seconds=BUILD_S)
    assert ended.code == 0, ended.err
    return "floodrunner-test:cpu"


def build_dockyard(house: House) -> House:
    """Adds what an image is built from: the real Dockerfile, and those of the locked libraries that tiny stages need.

    One line is added to the Dockerfile, behind what takes long: a label that tells this house's images and containers
    from those of others, who may be at work at the same time.
    """
    house.environment = on_engine(f"floodrunner-test-{secrets.token_hex(4)}")
    dockerfile = (REPOSITORY / "Dockerfile.cpu").read_text()
    source = "FROM environment AS source\n"
    assert dockerfile.count(source) == 1
    label = "LABEL {}={}\n\n".format(*house_label(house))
    (house.code / "Dockerfile.cpu").write_text(dockerfile.replace(source, label + source))
    shutil.copy(REPOSITORY / ".dockerignore", house.code)
    (house.code / "requirements").mkdir()
    locked = re.split(r"\n(?=\S)", (REPOSITORY / "requirements" / "cpu.txt").read_text())
    few = [text for text in locked if re.match(r"(annotated-types|pydantic|pydantic-core|typing-\w+)==", text)]
    (house.code / "requirements" / "cpu.txt").write_text("\n".join([f"# {SESSION}", *few, ""]))
    return house


def house_label(house: House) -> tuple[str, str]:
    return "org.floodrunner.test", house.environment["FLOODRUNNER_IMAGE"]


def on_engine(image: str) -> dict[str, str]:
    return {"DOCKER_HOST": docker_api.address(), "FLOODRUNNER_IMAGE": image}


def image_name(house: House) -> str:
    return f"{house.environment['FLOODRUNNER_IMAGE']}:cpu"


def end(house: House) -> None:
    for process in house.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def remove(engine: DockerClient, house: House) -> None:
    """Removes a house's image, and what its builds have left in the engine's cache."""
    from docker.errors import ImageNotFound

    with contextlib.suppress(ImageNotFound):
        engine.images.remove(image_name(house), force=True)
    engine.images.prune(filters={"label": "=".join(house_label(house))})
