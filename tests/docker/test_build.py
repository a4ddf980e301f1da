"""`floodrunner build` on a real engine: what an image holds, what a rebuild takes from before, what is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from docker.errors import NotFound

from runner.build import buildkit
from runner.build import image as building
from runner.engines.docker import containers as containers_of_runs
from runner.engines.docker import images
from tests.docker.conftest import BASE_IMAGE, BUILD, house_label, image_name
from tests.runner.conftest import House

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
        for package in ("stages", "segmentation"):
            chunks, _ = container.get_archive(f"{PLACE}/{package}")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                tar.extractall(folder, filter="data")
    finally:
        container.remove()
    return folder


def nameless(engine: DockerClient, house: House) -> set[str]:
    """Images of a house that `docker images` shows as <none>."""
    label = "=".join(house_label(house))
    return {image["Id"] for image in engine.api.images(filters={"dangling": True, "label": label})}


def containers(engine: DockerClient, house: House) -> set[str]:
    label = "=".join(house_label(house))
    return {container["Id"] for container in engine.api.containers(all=True, filters={"label": label})}


def trouble(house: House) -> str:
    """What the engine docker has against the image: asked in a fresh process, as it is asked once in each."""
    code = "import pathlib, sys; from runner import images; print(images.trouble('cpu', pathlib.Path(sys.argv[1])))"
    command, environment = house.command()
    ended = subprocess.run(
        [*command[:2], "-c", code, str(house.code)], env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


def check(engine: DockerClient, house: House, folder: Path) -> Image:
    """What holds for every image, whoever has built it."""
    image = engine.images.get(image_name(house))
    folder.mkdir()
    assert image.labels[images.SOURCE_LABEL] == images.source_hash(house.code)
    assert images.source_hash(files_inside(engine, image_name(house), folder)) == images.source_hash(house.code)
    assert image.labels["org.opencontainers.image.version"] == "0.1.0"
    assert image.labels["org.opencontainers.image.created"].startswith(time.strftime("%Y-"))
    assert trouble(house) == ""
    said = engine.containers.run(
        image,
        ["-P", "-c", "import os, stages.copy_text as stage; print(stage.__cached__, os.path.isfile(stage.__cached__))"],
        entrypoint=f"{PLACE}/venv/bin/python",
        user="12345:12345",
        network_mode="none",
        read_only=True,
        remove=True,
    )
    assert said.decode().split() == [f"{PLACE}/stages/__pycache__/copy_text.cpython-311.pyc", "True"]
    return image


def test_image_holds_the_source(engine: DockerClient, dockyard: House, tmp_path: Path) -> None:
    """Files that only their owner may read are readable inside; what else lies around is not in the image."""
    (dockyard.code / "stages" / "slow.py").chmod(0o600)
    (dockyard.code / "secret.txt").write_text("not for the image")
    for name in (".slow.py.swp", "slow.py~"):
        (dockyard.code / "stages" / name).write_text("an editor's")
    ended = dockyard(*BUILD, seconds=300)
    assert ended.code == 0, ended.err
    image = check(engine, dockyard, tmp_path / "inside")
    inside = {path.name for path in (tmp_path / "inside" / "stages").iterdir()} - {"__pycache__"}
    assert inside == {path.name for path in (dockyard.code / "stages").glob("*.py")}
    assert {".slow.py.swp", "slow.py~"}.isdisjoint(inside)
    lines = ended.out.splitlines()
    name, number = image_name(dockyard), image.id.removeprefix("sha256:")[:12]
    assert lines[0].startswith(f"{name}: building from ")
    assert lines[-2].startswith(f"{name}: built in ")
    assert f"(id {number[:10]}" in lines[-2]
    assert lines[-1] == "Next: floodrunner run pipelines/quickstart.yaml --engine docker"
    assert not nameless(engine, dockyard)
    assert not containers(engine, dockyard)
    assert not any("secret" in line for line in lines)

    again = dockyard(*BUILD)
    assert again.code == 0, again.err
    assert again.out.splitlines()[0].startswith(f"{name}: up to date (id {number[:10]}")
    assert engine.images.get(name).id == image.id


def test_an_edit_makes_the_image_stale_until_it_is_built_again(
    engine: DockerClient, dockyard: House, tmp_path: Path
) -> None:
    assert dockyard(*BUILD, seconds=300).code == 0
    first = check(engine, dockyard, tmp_path / "first")
    with open(dockyard.code / "stages" / "slow.py", "a") as file:
        file.write("SLOWER = True\n")
    assert "holds another source than" in trouble(dockyard)
    ended = dockyard(*BUILD)
    assert ended.code == 0, ended.err
    second = check(engine, dockyard, tmp_path / "second")
    assert second.id != first.id
    assert images.environment(second) == images.environment(first)
    assert second.attrs["RootFS"]["Layers"][-2:] != first.attrs["RootFS"]["Layers"][-2:]
    assert not any("RUN python3 -m venv" in line for line in ended.out.splitlines())
    assert not nameless(engine, dockyard)
    assert first.id not in {image.id for image in engine.images.list(all=True)}
    assert trouble(dockyard) == ""
    with open(dockyard.code / "requirements" / "cpu.txt", "a") as file:
        file.write("# another package\n")
    assert "holds other packages than" in trouble(dockyard)


def test_an_image_in_use_is_left_alone(engine: DockerClient, dockyard: House) -> None:
    """A step may be at work in it. The build after it is gone takes it along."""
    assert dockyard(*BUILD, seconds=300).code == 0
    first = engine.images.get(image_name(dockyard))
    container = engine.containers.create(first)
    try:
        (dockyard.code / "stages" / "slow.py").write_text("")
        assert dockyard(*BUILD).code == 0
        assert nameless(engine, dockyard) == {first.id}
    finally:
        container.remove()
    (dockyard.code / "stages" / "slow.py").write_text("1\n")
    assert dockyard(*BUILD).code == 0
    assert not nameless(engine, dockyard)


def test_an_image_that_a_run_may_yet_need_stays(engine: DockerClient, dockyard: House) -> None:
    """A step is at work in one image of this name; a later one may start in what is replaced meanwhile."""
    assert dockyard(*BUILD, seconds=300).code == 0
    first = engine.images.get(image_name(dockyard))
    gpu = image_name(dockyard).replace(":cpu", ":gpu")
    others = {containers_of_runs.RUN: "/runs/other", building.NAME_LABEL: "floodrunner-of-another:cpu"}
    other = engine.containers.create(BASE_IMAGE, labels=others)
    step = engine.containers.create(BASE_IMAGE, labels={containers_of_runs.RUN: "/runs/demo", building.NAME_LABEL: gpu})
    try:
        (dockyard.code / "stages" / "slow.py").write_text("")
        assert dockyard(*BUILD).code == 0
        assert nameless(engine, dockyard) == {first.id}
        assert "up to date" in dockyard(*BUILD).out
        assert nameless(engine, dockyard) == {first.id}
        step.remove()
        assert "up to date" in dockyard(*BUILD).out
        assert not nameless(engine, dockyard)
    finally:
        other.remove()
        with contextlib.suppress(NotFound):
            step.remove()


def test_other_names_of_an_image_stay(engine: DockerClient, dockyard: House) -> None:
    assert dockyard(*BUILD, seconds=300).code == 0
    first = engine.images.get(image_name(dockyard))
    repository = dockyard.environment["FLOODRUNNER_IMAGE"]
    first.tag(repository, "kept")
    try:
        (dockyard.code / "stages" / "slow.py").write_text("")
        assert dockyard(*BUILD).code == 0
        assert engine.images.get(f"{repository}:kept").id == first.id
    finally:
        engine.images.remove(f"{repository}:kept")


def test_what_a_killed_build_has_left_goes(engine: DockerClient, dockyard: House) -> None:
    """Images on their way have a name with the process that builds them: one that is gone, and one that is at work."""
    assert dockyard(*BUILD, seconds=300).code == 0
    name = image_name(dockyard)
    repository, _, tag = name.rpartition(":")
    gone = subprocess.Popen(["true"])
    gone.wait()
    first = engine.images.get(name)
    for pid in (gone.pid, os.getpid()):
        assert first.tag(repository, f"{tag}-{pid}")
    (dockyard.code / "stages" / "slow.py").write_text("")
    assert dockyard(*BUILD).code == 0
    assert engine.images.get(first.id).tags == [f"{name}-{os.getpid()}"]
    engine.images.remove(f"{name}-{os.getpid()}")
    assert not nameless(engine, dockyard)


def write_dockerfile(house: House, *lines: str) -> None:
    label = "LABEL {}={}".format(*house_label(house))
    text = "\n".join(["ARG BASE_IMAGE=debian:none", "FROM ${BASE_IMAGE}", label, *lines, "COPY stages /stages", ""])
    (house.code / "Dockerfile.cpu").write_text(text)


@pytest.fixture(params=["classic", "BuildKit"])
def builder(request: pytest.FixtureRequest, dockyard: House, tmp_path: Path) -> str:
    """Either builder; which one a machine takes is decided by the docker command, so there is one, or none."""
    (tmp_path / "bin").mkdir()
    path = str(tmp_path / "bin")
    if request.param == "BuildKit":
        path = path_with_buildkit()
    dockyard.environment["PATH"] = path
    return str(request.param)


def path_with_buildkit() -> str:
    """A PATH on which the docker command has BuildKit: this one, or this one without a docker command that has not."""
    folders = os.environ["PATH"].split(os.pathsep)
    former = os.environ["PATH"]
    try:
        while folders:
            os.environ["PATH"] = os.pathsep.join(folders)
            if buildkit.buildkit_command():
                return os.environ["PATH"]
            del folders[0]
    finally:
        os.environ["PATH"] = former
    pytest.skip("needs a docker command with BuildKit")


def test_either_builder_gives_the_same(engine: DockerClient, dockyard: House, builder: str, tmp_path: Path) -> None:
    ended = dockyard(*BUILD, seconds=300)
    assert ended.code == 0, ended.err
    assert ("BuildKit" if builder == "BuildKit" else buildkit.CLASSIC) in ended.out.splitlines()[0]
    first = check(engine, dockyard, tmp_path / "first")
    with open(dockyard.code / "segmentation" / "helper.py", "a") as file:
        file.write("MORE = True\n")
    ended = dockyard(*BUILD)
    assert ended.code == 0, ended.err
    second = check(engine, dockyard, tmp_path / "second")
    assert images.environment(second) == images.environment(first)
    assert not nameless(engine, dockyard)
    assert not containers(engine, dockyard)


def test_a_step_that_fails(engine: DockerClient, dockyard: House, builder: str) -> None:
    write_dockerfile(dockyard, "RUN echo begun; echo E: no such package as this; exit 7")
    ended = dockyard(*BUILD)
    assert ended.code == 1
    step = "2/" if builder == "BuildKit" else "4/"
    assert ended.error.startswith(f"Dockerfile.cpu, step {step}")
    assert " RUN echo begun; " in ended.error
    assert "failed with exit code 7: E: no such package as this; the whole log is in /" in ended.error
    log = Path(ended.error.rpartition(" ")[2])
    assert "begun" in log.read_text()
    log.unlink()
    assert not containers(engine, dockyard)
    assert image_name(dockyard) not in {tag for image in engine.images.list() for tag in image.tags}


def test_a_dockerfile_that_cannot_be_read(dockyard: House, builder: str) -> None:
    write_dockerfile(dockyard, "RUNS echo")
    ended = dockyard(*BUILD)
    assert ended.code == 1
    assert ended.error.startswith("Dockerfile.cpu: ")
    assert "dockerfile parse error" in ended.error
    assert "unknown instruction: RUNS" in ended.error
    Path(ended.error.rpartition(" ")[2]).unlink()


def test_no_base_image(dockyard: House, builder: str) -> None:
    missing = "localhost:9/floodrunner/nothing:here"
    ended = dockyard("build", "--cpu", "--base-image", missing)
    assert ended.code == 2
    assert ended.error.startswith(f"Dockerfile.cpu: the base image {missing} is neither here nor can it be pulled (")
    assert ended.error.endswith("; --base-image NAME builds on another")


def test_a_full_disk(dockyard: House, builder: str) -> None:
    """/dev/full is a full disk in small."""
    write_dockerfile(dockyard, "RUN cat /etc/passwd > /dev/full")
    ended = dockyard(*BUILD)
    assert ended.code == 1
    assert ended.error.startswith(f"{image_name(dockyard)}: the engine's disk is full (/")
    assert "; make room there and build again; the whole log is in " in ended.error
    Path(ended.error.rpartition(" ")[2]).unlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c(
    engine: DockerClient, dockyard: House, builder: str, number: signal.Signals, wait_for: Callable[..., None]
) -> None:
    """The step's process ends, its container goes, no image is left half built."""
    mark = house_label(dockyard)[1]
    write_dockerfile(dockyard, f"RUN echo {mark}; sleep 600")
    process = dockyard.start(*BUILD)

    def running() -> bool:
        commands = (" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"]))
        return any(f"echo {mark}; sleep 600" in command for command in commands)

    wait_for(running)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == "floodrunner: interrupted; run again to go on\n"
    assert not any(path.read_text().count(mark) for path in Path("/tmp").glob("floodrunner-build-cpu-*.log"))
    wait_for(lambda: not containers(engine, dockyard))
    wait_for(lambda: not running())
