"""An image that is missing, of another source, of another backend, or gone; and what is recorded of it."""

from __future__ import annotations

import contextlib
import io
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from floodrunner.runner.engines import docker as docker_engine
from floodrunner.runner.engines.base import Job
from floodrunner.runner.engines.docker import client, images
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions
from tests.docker.conftest import BUILD, BUILD_S, image_name
from tests.docker.steps.conftest import Ship

TWO = """
name: demo
steps:
  first: {stage: lines, params: {steps: 2, seconds: 0}}
  look: {stage: look, in: {former: first.count}}
"""


@pytest.fixture
def own_image(ship: Ship) -> Iterator[str]:
    """The name of an image of this test's own: another than that of all, with the same in it."""
    of_all = image_name(ship.house)
    name = f"floodrunner-test-{secrets.token_hex(4)}"
    recipe = f"FROM {of_all}\nLABEL org.floodrunner.test={name}\n".encode()
    made, _ = ship.engine.images.build(fileobj=io.BytesIO(recipe), tag=f"{name}:cpu", rm=True)
    ship.house.environment["FLOODRUNNER_IMAGE"] = name
    yield name
    for image in ship.engine.images.list(name):
        for tag in image.tags:
            ship.engine.images.remove(tag, force=True)
    with contextlib.suppress(ImageNotFound):  # one that a container used keeps no name
        ship.engine.images.remove(made.id)


def test_a_missing_image(ship: Ship, left_behind: Callable[[], list[str]]) -> None:
    ship.pipeline(TWO)
    ship.house.environment["FLOODRUNNER_IMAGE"] = "floodrunner-test-none"
    ended = ship.run()
    text = "docker: there is no image floodrunner-test-none:cpu; floodrunner build --cpu builds it"
    assert (ended.code, ended.error) == (2, f"--engine {text}")
    assert not (ship.work / "runs").exists()
    ended = ship.run(engine="auto")
    assert ended.code == 0, ended.err
    assert f"engine local ({text})" in ended.out
    assert ship.report["engine"]["name"] == "local"


def test_an_image_of_another_source(ship: Ship, own_image: str) -> None:
    """It is refused, or passed over with the reason: never are steps run by other code than the checkout's."""
    ship.pipeline(TWO)
    assert ship.run().code == 0
    stage = ship.house.code / "stages" / "look.py"
    stage.write_text(stage.read_text().replace("json.dumps(seen)", 'json.dumps({**seen, "edited": True})'))
    text = (
        f"the image {own_image}:cpu does not match the source in {ship.house.code}; "
        "floodrunner build --cpu brings it up to date, in seconds"
    )
    ended = ship.run()
    assert (ended.code, ended.error) == (2, f"--engine docker: {text}")
    for command in ("plan", "run"):  # with `auto`: what has run in containers is not run again without
        ended = ship.house(command, "p.yaml")
        assert (ended.code, ended.error) == (
            2,
            f"runs/demo: its steps ran with the engine docker, which cannot be used now: {text}; --engine local runs "
            "all steps again",
        )
    planned = ship.house("plan", "p.yaml", "--workdir", "new")
    assert planned.code == 0, planned.err
    assert f"engine local (docker: {text})" in planned.out
    built = ship.house(*BUILD, seconds=BUILD_S)
    assert built.code == 0, built.err
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert ship.result("look", "seen.json")["edited"] is True
    assert "look: runs (stages/look.py changed)" in ended.out
    assert "first: runs" not in ended.out  # its own code has not changed, nor has what else is in the image
    ended = ship.run(engine="auto")
    assert "Nothing to do" in ended.out, ended.out


def test_a_file_more_or_less_is_another_source(ship: Ship) -> None:
    ship.pipeline(TWO)
    more = ship.house.code / "segmentation" / "more.txt"
    more.write_text("data that a stage may read")
    assert "does not match the source in" in ship.run().error
    more.unlink()
    kept = ship.house.code / "stages" / "__pycache__" / "look.pyc"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"what Python keeps does not count")
    for name in (".look.py.swp", "look.py~"):
        (ship.house.code / "stages" / name).write_text("nor does what an editor keeps")
    assert ship.run().code == 0


def test_another_backend_than_the_image_has(ship: Ship) -> None:
    ship.pipeline(TWO)
    ship.house.environment["KERAS_BACKEND"] = "jax"
    name = image_name(ship.house)
    ended = ship.run()
    assert (ended.code, ended.error) == (
        2,
        f"--engine docker: KERAS_BACKEND is jax, but the image {name} was built for tensorflow; unset KERAS_BACKEND",
    )
    ship.house.environment["KERAS_BACKEND"] = "tensorflow"
    assert ship.run().code == 0


def test_an_image_that_is_removed_before_a_step_starts(
    ship: Ship, own_image: str, monkeypatch: pytest.MonkeyPatch, left_behind: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("FLOODRUNNER_IMAGE", own_image)
    monkeypatch.setenv("DOCKER_HOST", client.address())
    images.find.cache_clear()
    folder = ship.folder("look")
    folder.mkdir(parents=True)
    job = Job("look", "look", {}, {}, {"seen": str(folder / "partial" / "seen.json")}, folder, StepOptions(), "", "f")
    try:
        assert docker_engine.unavailable([job], ship.house.code) == ""
        ship.engine.images.remove(f"{own_image}:cpu")
        with pytest.raises(UserError) as caught:
            docker_engine.start(job, ship.house.code)
    finally:
        images.find.cache_clear()
    assert str(caught.value) == f"step look: the image {own_image}:cpu is no longer there; floodrunner build builds it"
    assert left_behind() == []


def test_an_image_that_is_replaced_while_a_run_is_at_work(
    ship: Ship, own_image: str, at_line: Callable[..., None]
) -> None:
    """A run keeps to the image that it has begun with."""
    ship.pipeline(TWO.replace("seconds: 0", "seconds: 0.05").replace("steps: 2,", "steps: 60,"))
    first = ship.engine.images.get(f"{own_image}:cpu").id
    process = ship.start()
    at_line("first", 2)
    ship.engine.images.remove(f"{own_image}:cpu", force=True)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err + out
    assert ship.report["engine"]["images"] == {f"{own_image}:cpu": first}


def test_what_run_json_holds(ship: Ship) -> None:
    ship.pipeline(TWO)
    assert ship.run().code == 0
    image = ship.engine.images.get(image_name(ship.house))
    assert ship.report["engine"] == {
        "name": "docker",
        "reason": "chosen by --engine",
        "address": client.address(),
        "version": ship.engine.version()["Version"],
        "images": {image_name(ship.house): image.id},
    }
    for step in ("first", "look"):
        assert ship.report["steps"][step]["engine"] == {
            "engine": "docker",
            "backend": "tensorflow",
            "image": f"cpu {images.environment(image)[:12]}",
        }
    assert ship.run("--workdir", "chosen", engine="auto").code == 0
    ended = ship.run("--workdir", "chosen", engine="local")
    assert "engine docker -> local" in ended.out  # another Python, other libraries: it counts as a change


def test_an_engine_that_is_not_there(ship: Ship) -> None:
    ship.pipeline(TWO)
    ship.house.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    ended = ship.run()
    text = "docker: no Docker engine at unix:///nowhere/docker.sock; start Docker"
    assert (ended.code, ended.error) == (2, f"--engine {text}")
    assert f"engine local ({text})" in ship.run(engine="auto").out


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_another_machines_engine_is_not_used(ship: Ship) -> None:
    ship.pipeline(TWO)
    ship.house.environment["DOCKER_HOST"] = "tcp://192.0.2.1:2375"
    ended = ship.run()
    assert ended.code == 2
    assert "the Docker engine at tcp://192.0.2.1:2375 is not on this machine and does not see its files" in ended.error
    assert not Path(ship.work / "runs").exists()
