"""Houses whose steps run in containers of the real engine: one image with tiny stages for all of them."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floodrunner.runner.engines.docker import containers
from tests.docker.conftest import BUILD, BUILD_S, build_dockyard, end, image_name, remove
from tests.docker.steps import tiny
from tests.runner import conftest as houses
from tests.runner.conftest import Ended, House

if TYPE_CHECKING:
    import subprocess

    from docker import DockerClient
    from docker.models.containers import Container

LONG_S = 120

wait_for = houses.wait_for


@dataclass
class Ship:
    """A house whose steps run in containers, and a look at what they leave in the engine."""

    house: House
    engine: DockerClient

    @property
    def work(self) -> Path:
        return self.house.work

    def pipeline(self, text: str) -> None:
        self.house.pipeline(text)

    def run(self, *arguments: str, engine: str = "docker", seconds: float = LONG_S) -> Ended:
        return self.house("run", "p.yaml", "--engine", engine, *arguments, seconds=seconds)

    def start(self, *arguments: str, engine: str = "docker") -> subprocess.Popen[str]:
        return self.house.start("run", "p.yaml", "--engine", engine, *arguments)

    def folder(self, step: str) -> Path:
        return self.work / "runs" / "demo" / step

    def result(self, step: str, file: str) -> Any:
        return json.loads((self.folder(step) / file).read_text())

    def log(self, step: str) -> str:
        return (self.folder(step) / "log.txt").read_text()

    def events(self, step: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder(step) / "events.jsonl").read_text().splitlines()]

    @property
    def report(self) -> Any:
        return json.loads((self.work / "runs" / "demo" / "run.json").read_text())

    def containers(self) -> list[Container]:
        """Those of this house's steps, in whichever state."""
        found = self.engine.containers.list(all=True, ignore_removed=True, filters={"label": containers.RUN})
        return [each for each in found if each.labels[containers.RUN].startswith(f"{self.work}/")]


@pytest.fixture(scope="session")
def shipyard(engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with the tiny stages, whose image is built."""
    house = build_dockyard(houses.build(tmp_path_factory.mktemp("ship")))
    for name, text in tiny.STAGES.items():
        (house.code / "stages" / f"{name}.py").write_text(textwrap.dedent(text).lstrip())
    (house.code / "segmentation" / "looking.py").write_text(tiny.LOOKING)
    ended = house(*BUILD, seconds=BUILD_S)
    assert ended.code == 0, ended.err
    yield house
    remove(engine, house)


@pytest.fixture
def ship(shipyard: House, engine: DockerClient, tmp_path: Path) -> Iterator[Ship]:
    made = launch(shipyard, engine, tmp_path)
    yield made
    scuttle(made)


def launch(shipyard: House, engine: DockerClient, folder: Path) -> Ship:
    """A house in a folder, on the image of the shipyard."""
    shutil.copytree(shipyard.code, folder / "code")
    (folder / "work").mkdir()
    return Ship(House(folder / "code", folder / "work", dict(shipyard.environment)), engine)


def scuttle(ship: Ship) -> None:
    end(ship.house)
    for container in ship.containers():
        container.remove(force=True, v=True)


@pytest.fixture
def left_behind(engine: DockerClient, ship: Ship) -> Callable[[], list[str]]:
    """What there is in the engine now, of this test, that was not there when it began."""

    def there() -> set[str]:
        return {
            *(f"volume {volume.id}" for volume in engine.volumes.list()),
            *(f"network {network.id}" for network in engine.networks.list()),
            *(f"image {image['Id']}" for image in engine.api.images(filters={"dangling": True}) if made_of_ours(image)),
        }

    def made_of_ours(image: dict[str, Any]) -> bool:
        """Others may be building at the same time."""
        return bool(engine.api.inspect_image(image["Id"])["RootFS"]["Layers"][: len(layers)] == layers)

    layers = engine.images.get(image_name(ship.house)).attrs["RootFS"]["Layers"]
    before = there()
    return lambda: [*(each.name for each in ship.containers()), *sorted(there() - before)]


@pytest.fixture
def at_line(wait_for: Callable[..., None], ship: Ship) -> Callable[..., None]:
    """`at_line("count", 5)` waits until that step has told its fifth line, in log and events."""

    def wait(step: str, number: int) -> None:
        def there() -> bool:
            log, events = (ship.folder(step) / name for name in ("log.txt", "events.jsonl"))
            return (
                events.exists()
                and f'"step": {number}}}' in events.read_text()
                and f"line {number}\n" in log.read_text()
            )

        wait_for(there, 30)

    return wait


def is_root() -> bool:
    return os.getuid() == 0
