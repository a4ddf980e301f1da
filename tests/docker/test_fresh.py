"""A container with only Python and no network: pip installs the wheel, and a pipeline runs in an empty folder."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import BUILD_S
from tests.runner.conftest import REPOSITORY

if TYPE_CHECKING:
    from docker import DockerClient

TINY = (
    *("nuclei.pictures=4", "nuclei.test_pictures=2", "nuclei.width=96", "nuclei.height=80"),
    *("train.depth=2", "train.width=4", "train.crop=64", "train.max_steps=6", "train.validation_interval=3"),
)
CELLS = "{name: demo, steps: {cells: {stage: phantom-cells, params: {pictures: 2, test_pictures: 1}}}}"
FROM_PIP = """
cd /tmp
unset PYTHONPATH
python3 -m venv env
echo /usr/local/lib/floodrunner/venv/lib/python3*/site-packages > $(echo env/lib/python3*/site-packages)/image.pth
env/bin/pip install --no-index --find-links /wheels "floodrunner[cpu]"
mkdir empty hostile
for name in runner stages segmentation contract pipelines click numpy keras; do
  echo 'raise ImportError("of the user")' > hostile/$name.py
  cp hostile/$name.py empty
done
export PYTHONPATH=/tmp/hostile
cd empty
/tmp/env/bin/floodrunner run unet-quickstart $SETS
rm *.py
ls -A
/tmp/env/bin/floodrunner run unet-quickstart $SETS
ls runs/unet-quickstart/score/metrics.json
"""
"""The libraries of the steps are those of the image: pip finds them installed, and checks that nothing is missing."""


def locked(file: Path) -> dict[str, str]:
    """Name and version of each package of a lock file -> its lines."""
    return {block.split("\\")[0]: block for block in re.split(r"\n(?=[a-z])", file.read_text())}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Floodrunner's wheel, and the wheels of those packages that the image lacks."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, capture_output=True, check=True)
    of_runner, of_image = (locked(REPOSITORY / "requirements" / name) for name in ("runner.txt", "cpu.txt"))
    lock = folder / "lock.txt"
    lock.write_text("\n".join(of_runner[line] for line in sorted(of_runner.keys() - of_image.keys())))
    folder.chmod(0o755)  # the user in the container is another one
    tags = [f"--platform={each}_{platform.machine()}" for each in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *tags]
    download += ["--python-version=3.11", "--dest", str(folder), "--require-hashes", "-r", str(lock)]
    ended = subprocess.run(download, capture_output=True, text=True, check=False, timeout=300)
    if ended.returncode:
        pytest.skip(f"needs the network for the packages of the runner: {ended.stderr.strip().splitlines()[-1]}")
    return folder


def script(image: str, engine: DockerClient, text: str, user: str, **volumes: Path) -> str:
    """What a shell script says in a container of the image, without network. It must not fail."""
    container = engine.containers.run(
        image,
        ["-ec", text],
        entrypoint="/bin/sh",
        user=user,
        environment={"SETS": " ".join(f"--set {each}" for each in TINY)},
        volumes={str(path): {"bind": f"/{name}", "mode": "ro"} for name, path in volumes.items()},
        network_mode="none",
        detach=True,
    )
    try:
        code = container.wait(timeout=BUILD_S)["StatusCode"]
        said = container.logs().decode()
    finally:
        container.remove(force=True)
    assert code == 0, said
    return said


def test_from_pip_to_a_result_in_an_empty_folder(engine: DockerClient, image: str, wheels: Path) -> None:
    said = script(image, engine, FROM_PIP, "floodrunner", wheels=wheels)
    assert re.search(r"Successfully installed .*floodrunner-", said)
    assert "\nruns\n" in said, "something is beside the run folder"
    assert "Nothing to do" in said
    assert said.endswith("runs/unet-quickstart/score/metrics.json\n")


def test_the_recipe_for_apptainer(engine: DockerClient, image: str, wheels: Path) -> None:
    """Its sections, in a container of Docker; pip finds the packages in a folder."""
    recipe = (REPOSITORY / "containers" / "floodrunner.def").read_text()
    parts = dict(re.findall(r"^%(\w+)\n(.*?)(?=^%|\Z)", recipe, re.DOTALL | re.MULTILINE))
    assert [line.split() for line in parts["files"].strip().splitlines()] == [
        ["dist/floodrunner-*.whl", "/opt/floodrunner/dist/"],
        ["requirements/runner.txt", "/opt/floodrunner/runner.txt"],
    ]
    files = (
        "mkdir -p /opt/floodrunner/dist\ncp /wheels/floodrunner-*.whl /opt/floodrunner/dist/\n"
        "cp /requirements/runner.txt /opt/floodrunner\n"
    )
    pip = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels\n"
    run = parts["runscript"].replace("exec ", "").replace('"$@"', "run p.yaml")
    build = "\n".join([files, pip, parts["post"], parts["environment"], parts["test"]])
    text = f"{build}\nmkdir /tmp/mine\ncd /tmp/mine\necho '{CELLS}' > p.yaml\n{run}\nls"
    said = script(image, engine, text, "root", wheels=wheels, requirements=REPOSITORY / "requirements")
    assert "unet-quickstart  An example of finding cells" in said
    assert "done" in said
    assert said.endswith("\np.yaml\nruns\n")
