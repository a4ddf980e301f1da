"""`plan` looks at inputs in a container, with the real image: what is wrong is told, and nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.docker.conftest import on_engine
from tests.runner.conftest import REPOSITORY, House

if TYPE_CHECKING:
    from docker import DockerClient


def sections(folder: Path, count: int) -> None:
    folder.mkdir()
    for z in range(count):
        Image.fromarray(np.full((40, 40), z + 1, np.uint16)).save(folder / f"z{z:03d}.png")


def test_what_is_wrong_is_found_in_a_container(engine: DockerClient, image: str, tmp_path: Path) -> None:
    for name, count in (("images", 12), ("labels", 11)):
        sections(tmp_path / name, count)
    house = House(REPOSITORY, tmp_path, on_engine(image.removesuffix(":cpu")))
    before = {each.id for each in engine.containers.list(all=True, ignore_removed=True)}
    ended = house(
        *("plan", "ffn", "--engine", "docker", "--input", "images=images", "--input", "labels=labels"), seconds=120
    )
    assert ended.code == 2, ended.out
    assert "images: 12 sections (z000.png to z011.png)" in ended.out
    wrong = ended.err.splitlines()
    assert [line.split(":")[0] for line in wrong[1:3]] == ["  step image", "  step truth"], ended.err
    assert "--set image.convert_16_bit=percentiles" in wrong[1]
    assert not (tmp_path / "runs").exists()
    after = engine.containers.list(all=True, ignore_removed=True, filters={"ancestor": image})
    assert not [each for each in after if each.id not in before]
