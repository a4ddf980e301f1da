"""Which engine steps run in: a run folder keeps to its own, as another one runs all steps again."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from floodrunner.runner import engines, installed
from floodrunner.runner.engines import local
from floodrunner.runner.engines.base import Engine, InputRefused, Job
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.workdir import records

if TYPE_CHECKING:
    from conftest import House

JOB = Job("one", "look", {}, {}, {}, Path("/data/runs/demo/one"), StepOptions(), "", "")
NO_ENGINE = "no Docker engine at unix:///nowhere.sock; start Docker"


@pytest.mark.parametrize("name", engines.NAMES)
def test_an_engine_provides_the_functions_of_the_protocol(name: str) -> None:
    module = engines.load(name)
    wanted = {name: function for name, function in vars(Engine).items() if not name.startswith("_")}
    assert {"start", "orphans", "reclaim"} < set(wanted)
    for function, of_protocol in wanted.items():
        _, *parameters = inspect.signature(of_protocol).parameters
        assert list(inspect.signature(getattr(module, function)).parameters) == parameters, function


@pytest.fixture
def in_the_way(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Engine -> what is in its way; tests change it."""
    found = dict.fromkeys(engines.NAMES, "")
    modules = {name: SimpleNamespace(unavailable=lambda jobs, root, name=name: found[name]) for name in found}
    monkeypatch.setattr(engines, "load", modules.__getitem__)
    return found


def chosen(name: str, former: str = "") -> tuple[str, str]:
    found, _, reason = engines.choose(name, [JOB], Path("/"), former)
    return found, reason


def test_a_new_run_folder_gets_the_first_that_can(in_the_way: dict[str, str]) -> None:
    assert chosen("auto") == ("docker", "")
    in_the_way["docker"] = "the image is stale; build it"
    assert chosen("auto") == ("local", "docker: the image is stale; build it")
    assert chosen("auto", "an engine of later times") == ("local", "docker: the image is stale; build it")


def test_a_run_folder_keeps_to_its_engine(in_the_way: dict[str, str]) -> None:
    """Neither an image that was built, nor one that got stale, is a reason to run trainings again."""
    assert chosen("auto", "local") == ("local", "used before in this run folder")
    assert chosen("auto", "docker") == ("docker", "used before in this run folder")
    in_the_way["docker"] = "the image is stale; build it"
    with pytest.raises(UserError) as caught:
        chosen("auto", "docker")
    assert str(caught.value) == (
        "/data/runs/demo: its steps ran with the engine docker, which cannot be used now: the image is stale; build "
        "it; --engine local runs all steps again"
    )
    assert chosen("auto", "local") == ("local", "used before in this run folder")
    in_the_way["local"] = "numpy is missing; install it"
    with pytest.raises(
        UserError,
        match="engine local, which cannot be used now: numpy is missing; install it; --engine docker runs all",
    ):
        chosen("auto", "local")


def test_a_user_may_change_it(in_the_way: dict[str, str]) -> None:
    assert chosen("local", "docker") == ("local", "chosen by --engine")
    assert chosen("docker", "local") == ("docker", "chosen by --engine")
    in_the_way["docker"] = "the image is stale; build it"
    with pytest.raises(UserError, match="--engine docker: the image is stale; build it"):
        chosen("docker", "local")


def test_an_input_that_no_step_may_see_is_no_reason_for_another_engine(
    in_the_way: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one would show it. A user who names that engine decides so."""
    load = engines.load

    def refuses(jobs: object, root: object) -> str:
        raise InputRefused("x leads to a key")

    docker = SimpleNamespace(unavailable=refuses)
    monkeypatch.setattr(engines, "load", lambda name: docker if name == "docker" else load(name))
    for name, former in (("auto", ""), ("auto", "docker"), ("docker", ""), ("docker", "local")):
        with pytest.raises(InputRefused, match="x leads to a key"):
            chosen(name, former)
    assert chosen("local") == ("local", "chosen by --engine")


def test_of_a_run_folder(done: House) -> None:
    again = done("run", "p.yaml")
    assert again.code == 0, again.err
    assert "engine local (used before in this run folder)" in done("plan", "p.yaml").out
    engine = json.loads((done.work / "runs" / "demo" / "run.json").read_text())["engine"]
    assert (engine["name"], engine["reason"]) == ("local", "used before in this run folder")
    for step in ("one", "two", "three"):
        file = done.work / "runs" / "demo" / step / "step.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "engine": "docker"}))
    for command in ("run", "plan"):
        ended = done(command, "p.yaml")
        assert (ended.code, ended.error) == (
            2,
            f"runs/demo: its steps ran with the engine docker, which cannot be used now: {NO_ENGINE}; "
            "--engine local runs all steps again",
        )
    new = done("plan", "p.yaml", "--workdir", "another")
    assert new.out.startswith(f"demo in another, engine local (docker: {NO_ENGINE})")
    ended = done("run", "p.yaml", "--engine", "local", "--force", "one")
    assert ended.code == 0, ended.err
    assert json.loads((done.work / "runs" / "demo" / "one" / "step.json").read_text())["engine"] == "local"


def test_processes_need_the_packages_that_a_containers_runner_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["h5py", "no-such-package", "numpy", "tensorflow", "tensorflow-cpu"]  # the last two: one is enough
    monkeypatch.setattr(installed, "distributions", lambda: names)
    assert installed.missing() == ["no-such-package"]
    assert local.unavailable([JOB], Path("/")) == (
        "the packages that steps need are not installed (no-such-package); make demo installs them"
    )
    monkeypatch.setattr(installed, "distributions", lambda: [f"none{number}" for number in range(5)])
    assert "not installed (none0, none1, none2 and 2 more);" in local.unavailable([JOB], Path("/"))
    monkeypatch.setattr(installed, "distributions", lambda: ["numpy"])
    assert local.unavailable([JOB], Path("/")) == ""


def test_the_engine_that_a_run_folders_steps_have_run_in(done: House) -> None:
    """Not the one of a run that has done nothing."""
    workdir, steps = done.work / "runs" / "demo", ["one", "two", "three"]

    def edit(file: Path, **values: object) -> None:
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    assert records.former_engine(workdir, steps) == "local"
    edit(workdir / "run.json", engine={"name": "docker"})  # begun with another one, and cut off at once
    assert records.former_engine(workdir, steps) == "local"
    (workdir / "run.json").unlink()
    assert records.former_engine(workdir, steps) == "local"
    edit(workdir / "two" / "step.json", engine="docker", seconds=1e6)  # what takes longest is not to be done again
    assert records.former_engine(workdir, steps) == "docker"
    for step in steps:
        (workdir / step / "step.json").unlink()
        shutil.rmtree(workdir / step / "state")
    (workdir / "run.json").write_text('{"engine": {"name": "docker"}}')
    assert records.former_engine(workdir, steps) == ""  # nothing is done, and nothing half done
    (workdir / "two" / "state").mkdir()
    (workdir / "two" / "state" / "training.h5").touch()
    assert records.former_engine(workdir, steps) == "docker"
    (workdir / "run.json").write_text('{"engine": "docker"}')
    assert records.former_engine(workdir, steps) == ""
