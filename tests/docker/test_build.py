"""`floodrunner build` on a real engine: what an image holds, what a rebuild takes from before, what is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from docker.errors import NotFound

from floodrunner.runner import __version__
from floodrunner.runner.build import command
from floodrunner.runner.build import image as building
from floodrunner.runner.engines.docker import containers as containers_of_runs
from floodrunner.runner.engines.docker import images
from floodrunner.runner.fingerprint.code import PACKAGES
from tests.docker.conftest import BASE_IMAGE, BUILD, build_dockyard, end, house_label, image_name, remove
from tests.runner.conftest import House
from tests.runner.conftest import build as build_house

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

PLACE = "/usr/local/lib/floodrunner"


def files_inside(engine: DockerClient, name: str, folder: Path) -> Path:
    """Copies the source out of an image, without running anything in it."""
    import io
    import tarfile

    container = engine.containers.create(name)
    try:
        for package in PACKAGES:
            chunks, _ = container.get_archive(f"{PLACE}/floodrunner/{package}")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                tar.extractall(folder, filter="data")
    finally:
        container.remove()
    return folder


def nameless(engine: DockerClient, house: House) -> set[str]:
    """Images of a house that builds have replaced. The classic builder's helper images do not have this label."""
    label = f"{building.NAME_LABEL}={image_name(house)}"
    return {image["Id"] for image in engine.api.images(filters={"dangling": True, "label": label})}


def containers(engine: DockerClient, house: House) -> set[str]:
    label = "=".join(house_label(house))
    return {container["Id"] for container in engine.api.containers(all=True, filters={"label": label})}


def trouble(house: House) -> str:
    """What the engine docker has against the image: asked in a fresh process, as it is asked once in each."""
    code = (
        "import pathlib, sys\nfrom floodrunner.runner.engines.docker import images\n"
        "print(images.trouble('cpu', pathlib.Path(sys.argv[1])))"
    )
    command, environment = house.command()
    ended = subprocess.run(
        [*command[:2], "-c", code, str(house.code)], env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def check(engine: DockerClient, house: House, folder: Path) -> Image:
    """What holds for every image, whichever builder built it."""
    image = engine.images.get(image_name(house))
    folder.mkdir()
    assert image.labels[images.SOURCE_LABEL] == images.source_hash(house.code)
    assert image.labels["org.floodrunner.test"] == house.environment["FLOODRUNNER_IMAGE"]
    assert images.source_hash(files_inside(engine, image_name(house), folder)) == images.source_hash(house.code)
    assert image.labels["org.opencontainers.image.version"] == __version__
    assert image.labels["org.opencontainers.image.created"].startswith(time.strftime("%Y-"))
    assert trouble(house) == ""
    said = engine.containers.run(
        image,
        [
            "-P",
            "-c",
            "import os; from floodrunner.stages.slow import __cached__ as c; print(c, os.path.isfile(c))",
        ],
        entrypoint=f"{PLACE}/venv/bin/python",
        user="12345:12345",
        network_mode="none",
        read_only=True,
        remove=True,
    )
    assert said.decode().split() == [f"{PLACE}/floodrunner/stages/__pycache__/slow.cpython-311.pyc", "True"]
    return image


@pytest.fixture(scope="module", params=["with BuildKit", "without"])
def yard(
    engine: DockerClient, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[House]:
    """A house for all tests of one builder: its PATH leads to a docker command that has this builder."""
    house = build_dockyard(build_house(tmp_path_factory.mktemp("yard")))
    house.environment["PATH"] = path_of_builder(request.param == "with BuildKit")
    yield house
    end(house)
    remove(engine, house)


def path_of_builder(buildkit: bool) -> str:
    """The end of PATH on which the first docker command has BuildKit, or has not."""
    folders = os.environ["PATH"].split(os.pathsep)
    with pytest.MonkeyPatch.context() as patch:
        for first in range(len(folders)):
            path = os.pathsep.join(folders[first:])
            patch.setenv("PATH", path)
            if has_buildkit() is buildkit:
                return path
    pytest.skip(f"needs a docker command {'with' if buildkit else 'without'} BuildKit")


def has_buildkit() -> bool | None:
    """Whether the first docker command on PATH has it; None if there is no docker command."""
    from floodrunner.runner.errors import UserError

    try:
        return command.builder().environment.get("DOCKER_BUILDKIT") != "0"
    except UserError:
        return None


@pytest.fixture
def built(yard: House) -> House:
    """That house with its image, which holds its source."""
    ended = yard(*BUILD, seconds=300)
    assert ended.code == 0, ended.err
    return yard


def edit(house: House) -> None:
    """Changes the source to what it never was."""
    with open(house.code / "stages" / "slow.py", "a") as file:
        file.write(f"EDITED = {time.monotonic_ns()}\n")


def rebuild(house: House) -> None:
    edit(house)
    ended = house(*BUILD)
    assert ended.code == 0, ended.err


def test_an_image_holds_the_source_until_that_is_edited(engine: DockerClient, yard: House, tmp_path: Path) -> None:
    """Files that only their owner may read are readable inside; what else lies around is not in the image."""
    (yard.code / "stages" / "slow.py").chmod(0o600)
    (yard.code / "secret.txt").write_text("not for the image")
    for name in (".slow.py.swp", "slow.py~"):
        (yard.code / "stages" / name).write_text("an editor's")
    ended = yard(*BUILD, seconds=300)
    assert ended.code == 0, ended.err
    first = check(engine, yard, tmp_path / "first")
    inside = {path.name for path in (tmp_path / "first" / "stages").iterdir()} - {"__pycache__"}
    assert inside == {path.name for path in (yard.code / "stages").glob("*.py")}
    assert {".slow.py.swp", "slow.py~"}.isdisjoint(inside)
    lines = ended.out.splitlines()
    name, number = image_name(yard), first.id.removeprefix("sha256:")[:10]
    assert lines[0].startswith(f"{name}: building from ")
    assert lines[-2].startswith(f"{name}: built in ")
    assert f"(id {number}" in lines[-2]
    assert lines[-1] == "Next: floodrunner run quickstart --engine docker"
    assert "python3 -m compileall" in ended.out + ended.err  # Docker itself shows the steps

    again = yard(*BUILD)
    assert again.code == 0, again.err
    assert again.out.splitlines()[0].startswith(f"{name}: up to date (id {number}")
    assert len(again.out.splitlines()) == 2
    assert engine.images.get(name).id == first.id

    edit(yard)
    assert "does not match the source in" in trouble(yard)
    ended = yard(*BUILD)
    assert ended.code == 0, ended.err
    second = check(engine, yard, tmp_path / "second")
    assert second.id != first.id
    assert images.environment(second) == images.environment(first)
    # The layers below the source's three are those of before: nothing was installed again.
    assert second.attrs["RootFS"]["Layers"][:-3] == first.attrs["RootFS"]["Layers"][:-3]
    assert second.attrs["RootFS"]["Layers"][-2:] != first.attrs["RootFS"]["Layers"][-2:]
    assert first.id not in {image.id for image in engine.images.list(all=True)}
    assert not nameless(engine, yard)
    assert not containers(engine, yard)
    lock = yard.code / "requirements" / "cpu.txt"
    locked = lock.read_text()
    try:
        lock.write_text(f"{locked}# another package\n")
        assert "does not hold the packages that" in trouble(yard)
    finally:
        lock.write_text(locked)


def test_an_image_in_use_is_left_alone(engine: DockerClient, built: House) -> None:
    """A step may be at work in it. The build after it is gone takes it along."""
    first = engine.images.get(image_name(built))
    container = engine.containers.create(first)
    try:
        rebuild(built)
        assert nameless(engine, built) == {first.id}
    finally:
        container.remove()
    rebuild(built)
    assert not nameless(engine, built)


def test_an_image_that_a_run_may_yet_need_stays(engine: DockerClient, built: House) -> None:
    """A step is at work in one image of this name; a later one may start in what is replaced meanwhile."""
    first = engine.images.get(image_name(built))
    gpu = image_name(built).replace(":cpu", ":gpu")
    others = {containers_of_runs.RUN: "/runs/other", building.NAME_LABEL: "floodrunner-of-another:cpu"}
    other = engine.containers.create(BASE_IMAGE, labels=others)
    step = engine.containers.create(BASE_IMAGE, labels={containers_of_runs.RUN: "/runs/demo", building.NAME_LABEL: gpu})
    try:
        rebuild(built)
        assert nameless(engine, built) == {first.id}
        assert "up to date" in built(*BUILD).out
        assert nameless(engine, built) == {first.id}
        step.remove()
        assert "up to date" in built(*BUILD).out
        assert not nameless(engine, built)
    finally:
        other.remove()
        with contextlib.suppress(NotFound):
            step.remove()


def test_other_names_of_an_image_stay(engine: DockerClient, built: House) -> None:
    """A name that the user gave it; that of a build at work. That of a build that was killed goes."""
    name = image_name(built)
    repository, _, tag = name.rpartition(":")
    gone = subprocess.Popen(["true"])
    gone.wait()
    first = engine.images.get(name)
    for other in ("kept", f"{tag}-{gone.pid}", f"{tag}-{os.getpid()}"):
        assert first.tag(repository, other)
    kept = {f"{repository}:kept", f"{name}-{os.getpid()}"}
    try:
        rebuild(built)
        assert set(engine.images.get(first.id).tags) == kept
    finally:
        for other in kept:
            engine.images.remove(other)
    assert not nameless(engine, built)


def test_a_source_that_is_edited_during_a_build(
    engine: DockerClient, built: House, wait_for: Callable[..., None]
) -> None:
    """It is built again, so that the image holds what its label says."""
    dockerfile = built.code / "Dockerfile.cpu"
    text = dockerfile.read_text()
    mark = f"{house_label(built)[1]}-{time.monotonic_ns()}"
    dockerfile.write_text(
        text.replace("FROM environment AS source\n", f"FROM environment AS source\nRUN echo {mark}; sleep 3\n")
    )
    process = built.start(*BUILD)
    try:
        wait_for(lambda: at_work(mark), 60)
        edit(built)
        out, err = process.communicate(timeout=120)
    finally:
        dockerfile.write_text(text)
    assert process.returncode == 0, err
    assert out.count(f"{image_name(built)}: the source changed during the build; building again\n") == 1
    assert engine.images.get(image_name(built)).labels[images.SOURCE_LABEL] == images.source_hash(built.code)
    assert not nameless(engine, built)


def write_dockerfile(house: House, *lines: str) -> None:
    label = "LABEL {}={}".format(*house_label(house))
    text = "\n".join(["ARG BASE_IMAGE=debian:none", "FROM ${BASE_IMAGE}", label, *lines, "COPY stages /stages", ""])
    (house.code / "Dockerfile.cpu").write_text(text)


@pytest.fixture
def other_dockerfile(yard: House) -> Iterator[Callable[..., None]]:
    """`other_dockerfile("RUN false")` writes one with these lines; the house's own comes back at the end."""
    own = (yard.code / "Dockerfile.cpu").read_text()
    yield lambda *lines: write_dockerfile(yard, *lines)
    (yard.code / "Dockerfile.cpu").write_text(own)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("RUN echo begun; echo E: no such package as this; exit 7", "E: no such package as this"),
        ("RUN cat /etc/passwd > /dev/full", "No space left on device"),
        ("RUNS echo", "unknown instruction: RUNS"),
    ],
)
def test_a_build_that_fails(
    engine: DockerClient, yard: House, other_dockerfile: Callable[..., None], line: str, shown: str
) -> None:
    """Docker says which step failed and why, and the last line is ours."""
    before = {tag for image in engine.images.list() for tag in image.tags}
    other_dockerfile(line)
    ended = yard(*BUILD)
    assert ended.code == 1
    assert shown in ended.out + ended.err
    *_, last = ended.err.splitlines()
    assert last.startswith(f"floodrunner: {image_name(yard)}: docker build failed with exit code ")
    assert last.endswith("; its output above shows the step and the reason")
    assert not containers(engine, yard)
    assert before == {tag for image in engine.images.list() for tag in image.tags}


def test_no_base_image(yard: House) -> None:
    missing = "localhost:9/floodrunner/nothing:here"
    ended = yard("build", "--cpu", "--base-image", missing)
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == (
        f"floodrunner: {yard.code}/Dockerfile.cpu: the base image {missing} is missing and cannot be pulled; "
        "Docker's output above says why; --base-image NAME chooses another base image"
    )
    assert "localhost:9" in ended.err.splitlines()[0]


def at_work(mark: str) -> bool:
    """Whether the step of a build that prints this mark is running."""
    commands = (" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"]))
    return any(f"echo {mark}; sleep" in command for command in commands)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c(
    engine: DockerClient,
    yard: House,
    other_dockerfile: Callable[..., None],
    number: signal.Signals,
    wait_for: Callable[..., None],
) -> None:
    """The step's process ends, its container goes, no image is left half built."""
    mark = f"{house_label(yard)[1]}-{number}"
    other_dockerfile(f"RUN echo {mark}; sleep 600")
    process = yard.start(*BUILD)
    wait_for(lambda: at_work(mark), 60)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "floodrunner: interrupted; run again to continue"
    wait_for(lambda: not containers(engine, yard))
    wait_for(lambda: not at_work(mark))
