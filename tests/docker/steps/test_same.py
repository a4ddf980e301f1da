"""The demo pipeline, shortened, with both engines: the same from every step."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.docker.conftest import on_engine
from tests.docker.steps.conftest import Ship, scuttle
from tests.runner.conftest import REPOSITORY, House

if TYPE_CHECKING:
    from docker import DockerClient

SHORTER = {
    "tissue.size_xyz": [96, 96, 24],
    "unseen.size_xyz": [72, 72, 20],
    "partitions.min_size": 50,
    "train.max_steps": 200,
    "train.schedule": "constant",
    "train.learning_rate": 0.003,
    "segment.box_xyz": {"start": [20, 20, 4], "size": [32, 32, 12]},
    "segment.min_segment_size": 20,
    "segment.move_threshold": 0.1,  # the network has learnt next to nothing, and is sure of nothing
    "segment.segment_threshold": 0.08,
}
SETS = [word for name, value in SHORTER.items() for word in ("--set", f"{name}={json.dumps(value)}")]
DEMO = ("run", str(REPOSITORY / "pipelines" / "quickstart.yaml"), *SETS)


class Both(NamedTuple):
    """The run folders of the two, and what the one with containers left in the engine."""

    docker: Path
    local: Path
    left: list[str]


@pytest.fixture(scope="module")
def real(image: str, engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ship]:
    """The checkout's own stages, on their image."""
    ship = Ship(House(REPOSITORY, tmp_path_factory.mktemp("real"), on_engine(image.partition(":")[0])), engine)
    yield ship
    scuttle(ship)


@pytest.fixture(scope="module")
def both(real: Ship) -> Both:
    for kind in ("docker", "local"):
        ended = real.house(*DEMO, "--engine", kind, "--workdir", kind, seconds=300)
        assert ended.code == 0, ended.err
    return Both(real.work / "docker", real.work / "local", [each.name for each in real.containers()])


def published(run: Path) -> dict[str, Path]:
    """What steps made, by its path in the run folder."""
    found = {}
    for record in sorted(run.glob("*/step.json")):
        for name in json.loads(record.read_text())["files"]:
            found[f"{record.parent.name}/{name}"] = record.parent / name
    return found


def test_every_step_gives_the_same(both: Both) -> None:
    """Bit for bit, every file that a step has published, but the one that says how long things took."""
    docker, local = published(both.docker), published(both.local)
    assert set(docker) == set(local)
    assert len({name.split("/")[0] for name in docker}) == 11
    assert {Path(name).suffix for name in docker} >= {".h5", ".json", ".png", ".csv", ".npz", ".prob"}
    same = [name for name in docker if docker[name].read_bytes() == local[name].read_bytes()]
    assert set(docker) - set(same) <= {"segment/times.csv"}
    assert both.left == []


def test_the_same_is_not_nothing(both: Both) -> None:
    import h5py
    import numpy as np

    with h5py.File(both.docker / "filled" / "segmentation.h5") as file:
        assert np.count_nonzero(file["segmentation"][...]) > 1000
    score = json.loads((both.docker / "score" / "metrics.json").read_text())
    assert score["objects"] > 0
    log = (both.docker / "train" / "log.txt").read_text()
    assert "training on CPU (tensorflow), from step 0 to 200" in log
    reports = {path.name: json.loads((path / "run.json").read_text())["engine"]["name"] for path in both[:2]}
    assert reports == {"docker": "docker", "local": "local"}


def test_a_training_that_was_stopped_twice_ends_with_the_same_model(
    real: Ship, both: Both, wait_for: Callable[..., None]
) -> None:
    """All after it is skipped: bit for bit the same model is no reason to segment again."""
    folder = real.work / "stopped"
    shutil.copytree(both.docker, folder)
    arguments = (*DEMO, "--engine", "docker", "--workdir", "stopped")
    more, of = ("--force", "train"), "progress"
    for number in (signal.SIGINT, signal.SIGTERM):
        before = events(folder, of)
        process = real.house.start(*arguments, *more)
        wait_for(lambda kind=of, seen=before: events(folder, kind) > seen, 60)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "floodrunner: interrupted; run again to continue\n"), out
        assert real.containers() == []
        more, of = (), "message"  # as soon as it starts: by the next progress, 2 s on, it may be over
    ended = real.house(*arguments, seconds=200)
    assert ended.code == 0, ended.err
    told = re.findall(
        r"training on CPU \(tensorflow\), from step (\d+) to 200", (folder / "train" / "log.txt").read_text()
    )
    first, second, *later = map(int, told)  # the first is of the run that was copied
    assert (first, second) == (0, 0)
    third, fourth = later
    assert 0 < third < fourth < 200
    skipped = re.findall(r"^([\w-]+): skipped \(nothing changed\)$", ended.out, re.MULTILINE)
    runs = re.findall(r"^([\w-]+): runs", ended.out, re.MULTILINE)
    assert runs == ["train"]
    assert len(skipped) == 10
    assert "segment" in skipped
    one, other = (path / "train" / "model" / "weights.h5" for path in (folder, both.local))
    assert one.read_bytes() == other.read_bytes()
    assert real.containers() == []


def events(folder: Path, kind: str) -> int:
    return (folder / "train" / "events.jsonl").read_text().count(f'"event": "{kind}"')


def test_a_dataset_of_a_file_with_an_odd_name(real: Ship) -> None:
    import h5py
    import numpy as np

    image = np.random.default_rng(0).integers(0, 255, (6, 40, 50), np.uint8)
    with h5py.File(real.work / "a b, ü=1.h5", "w") as file:
        file["volumes/raw"] = image
    real.pipeline(
        "name: odd\ninputs: {stack: {path: x}}\nsteps: {image: {stage: import-images, in: {stack: inputs.stack}}}\n"
    )
    for kind in ("docker", "local"):
        ended = real.run("--input", "stack=a b, ü=1.h5:volumes/raw", "--workdir", f"odd {kind}", engine=kind)
        assert ended.code == 0, ended.err
        with h5py.File(real.work / f"odd {kind}" / "image" / "volume.h5") as file:
            assert np.array_equal(file["raw"][...], image)


def test_data_of_an_hdf5_file_that_is_in_other_files(real: Ship) -> None:
    """Virtual datasets, external storage and links to other files: one of each, and one virtual of a virtual one."""
    import h5py
    import numpy as np

    image = np.random.default_rng(0).integers(0, 255, (8, 40, 50), np.uint8)
    folder = real.work / "parts"
    (folder / "deep").mkdir(parents=True)
    for name, part in (("a.h5", image[:4]), ("deep/b.h5", image[4:])):
        with h5py.File(folder / name, "w") as file:
            file["raw"] = part
    with h5py.File(folder / "b.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 40, 50), np.uint8)
        layout[:] = h5py.VirtualSource("deep/b.h5", "raw", (4, 40, 50))
        file.create_virtual_dataset("raw", layout)
    with h5py.File(folder / "whole.h5", "w") as file:
        layout = h5py.VirtualLayout(image.shape, np.uint8)
        layout[:4] = h5py.VirtualSource("a.h5", "raw", (4, 40, 50))
        layout[4:] = h5py.VirtualSource(folder / "b.h5", "raw", (4, 40, 50))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", image.shape, np.uint8, external=[(folder / "raw.bin", 0, image.nbytes)])
        file["external"][...] = image
        file["link"] = h5py.ExternalLink("a.h5", "raw")
    real.pipeline(
        "name: odd\ninputs: {stack: {path: x}}\nsteps: {image: {stage: import-images, in: {stack: inputs.stack}}}\n"
    )
    for dataset, expected in (("virtual", image), ("external", image), ("link", image[:4])):
        for kind in ("docker", "local"):
            workdir = f"{dataset} {kind}"
            ended = real.run("--input", f"stack=parts/whole.h5:{dataset}", "--workdir", workdir, engine=kind)
            assert ended.code == 0, ended.err
            with h5py.File(real.work / workdir / "image" / "volume.h5") as file:
                assert np.array_equal(file["raw"][...], expected)
