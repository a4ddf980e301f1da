"""The time that the runner adds to a step in a container, compared with `docker run` of the same command.

Both are measured in turn, so that other load on the machine affects both alike. The step generates a phantom of
56 x 56 x 8 voxels.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _measure import ROOT, publish

from floodrunner.runner.engines import docker as docker_engine
from floodrunner.runner.engines.base import Job
from floodrunner.runner.engines.docker import client, images
from floodrunner.runner.errors import UserError

ROUNDS, STEPS = 9, 6


def pipeline(folder: Path, steps: int) -> Path:
    """Writes a pipeline of `steps` tiny steps, each with another seed, and returns its path."""
    path = folder / f"overhead-{steps}.yaml"
    lines = [
        f"  step-{n}: {{stage: phantom, params: {{seed: {n}, size_xyz: [56, 56, 8], clutter: 0}}}}"
        for n in range(steps)
    ]
    path.write_text("\n".join(["name: overhead", "steps:", *lines, ""]))
    return path


def run(file: Path, workdir: Path) -> tuple[float, list[float]]:
    """Runs a pipeline in a new run folder. Returns seconds: of the whole run, and of each step, from `run.json`."""
    command = [sys.executable, "-m", "floodrunner", "run", str(file), "--engine", "docker", "--workdir", str(workdir)]
    begun = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    steps = json.loads((workdir / "run.json").read_text())["steps"].values()
    return seconds, [step["seconds"] for step in steps]


def docker_run(folder: Path) -> list[str]:
    """The `docker run` command for a step that has run before, with the settings that the engine uses."""
    written = json.loads((folder / "job.json").read_text())
    job = Job(folder.name, written["stage"], {}, {}, {}, folder, False, "", "")
    chosen = docker_engine.settings(job, gpu=False)
    arguments = ["docker", "--host", client.address(), "run", "--rm", "--read-only", "--init"]
    arguments += [
        f"--user={chosen['user']}",
        f"--workdir={chosen['working_dir']}",
        f"--network={chosen['network_mode']}",
    ]
    arguments += [f"--group-add={group}" for group in chosen["group_add"]]
    arguments += [f"--cap-drop={name}" for name in chosen["cap_drop"]]
    arguments += [f"--security-opt={option}" for option in chosen["security_opt"]]
    arguments += [f"--tmpfs={path}" for path in chosen["tmpfs"]]
    arguments += [f"--env={name}={value}" for name, value in chosen["environment"].items()]
    arguments += [f"--label={name}={value}" for name, value in chosen["labels"].items()]
    for mount in chosen["mounts"]:
        readonly = ",readonly" if mount["ReadOnly"] else ""
        arguments.append(f"--mount=type=bind,source={mount['Source']},target={mount['Target']}{readonly}")
    log = chosen["log_config"]
    arguments += [f"--log-driver={log.type}", *(f"--log-opt={name}={value}" for name, value in log.config.items())]
    return [*arguments, images.name(images.CPU), str(folder)]


def bare(command: Sequence[str], folder: Path) -> float:
    shutil.rmtree(folder / "partial", ignore_errors=True)
    (folder / "partial").mkdir()
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    assert (folder / "partial" / "image.h5").exists()
    return seconds


def measure(folder: Path) -> dict[str, list[float]]:
    one, more = pipeline(folder, 1), pipeline(folder, STEPS)
    run(more, folder / "first")  # the system's file cache is warm after this
    step = folder / "first" / "step-0"
    command = docker_run(step)
    print(shlex.join(command).replace(str(folder), "FOLDER"))
    found: dict[str, list[float]] = {"docker run": [], "run of one step": [], "step": [], "step, by its record": []}
    for number in range(ROUNDS):
        found["docker run"].append(bare(command, step))
        single, _ = run(one, folder / f"one-{number}")
        found["docker run"].append(bare(command, step))
        several, recorded = run(more, folder / f"more-{number}")
        found["run of one step"].append(single)
        found["step"].append((several - single) / (STEPS - 1))
        found["step, by its record"] += recorded
    return found


def row(what: str, seconds: Sequence[float], reference: float) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "a tiny step": what,
        "median s": median,
        "lowest s": min(seconds),
        "highest s": max(seconds),
        "times measured": len(seconds),
        "above docker run, s": median - reference,
    }


def main() -> None:
    if not shutil.which("docker"):
        print("docker_overhead: skipped: it needs the docker command")
        return
    try:
        if trouble := images.trouble(images.CPU, ROOT):
            raise UserError(trouble)
    except UserError as error:
        print(f"docker_overhead: skipped: {error}")
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    reference = statistics.median(found["docker run"])
    load = f"load {os.getloadavg()[1]:.1f}"
    engine = f"Docker {client.info()['ServerVersion']}, {load}"
    publish("docker_overhead", engine, [row(what, seconds, reference) for what, seconds in found.items()], shape=None)


if __name__ == "__main__":
    main()
