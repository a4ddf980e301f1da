"""Names of folders and files as people give them, links, and datasets: a container sees what a process would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.steps.conftest import Ship

ODD = "a b  'quoted' \"twice\" =:,; $HOME & ü 日本 #1 \\x"
LOOK = """
name: demo
inputs:
  stack: {path: stack}
  file: {path: file.txt}
steps:
  former: {stage: lines, params: {steps: 2, seconds: 0}}
  look: {stage: look, in: {stack: inputs.stack, file: inputs.file, former: former.count}}
"""
LINKED = "name: demo\ninputs: {stack: {path: stack}}\nsteps: {look: {stage: look, in: {stack: inputs.stack}}}\n"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_odd_names_of_run_folder_and_inputs(ship: Ship, left_behind: Callable[[], list[str]]) -> None:
    put(ship.work / f"data {ODD}" / "a.txt", "section a")
    put(ship.work / f"file {ODD}.txt", "a file")
    ship.pipeline(LOOK)
    workdir = f"run {ODD}"
    inputs = ["--input", f"stack=data {ODD}", "--input", f"file=file {ODD}.txt", "--workdir", workdir]
    ended = ship.run(*inputs)
    assert ended.code == 0, ended.err
    folder = ship.work / workdir / "look"
    seen = json.loads((folder / "seen.json").read_text())
    assert seen["reads"] == {"stack": {"a.txt": "section a"}, "file": "a file", "former": "[0, 1]"}
    assert seen["folder"] == str(folder)
    assert json.loads((folder / "job.json").read_text())["inputs"]["file"] == str(ship.work / f"file {ODD}.txt")
    assert left_behind() == []
    assert "Nothing to do" in ship.run(*inputs).out
    local = ship.run(*inputs[:-1], "local", engine="local")
    assert local.code == 0, local.err
    assert json.loads((ship.work / "local" / "look" / "seen.json").read_text())["reads"] == seen["reads"]


def test_inputs_through_links(ship: Ship) -> None:
    work = ship.work
    stack = work / "stack"
    put(stack / "a", "plain")
    (stack / "b").symlink_to(put(work / "far" / "x", "absolute"))
    put(work / "near" / "y", "relative")
    (stack / "c").symlink_to("../near/y")
    put(work / "third" / "z", "chain")
    (work / "hop").mkdir()
    (work / "hop" / "on").symlink_to("../third/z")
    (stack / "d").symlink_to(work / "hop" / "on")
    (stack / "e").symlink_to("a")
    put(work / "file.real", "behind a link")
    (work / "file.txt").symlink_to("file.real")
    ship.pipeline(LOOK)
    ended = ship.run()
    assert ended.code == 0, ended.err
    sections = {"a": "plain", "b": "absolute", "c": "relative", "d": "chain", "e": "plain"}
    assert ship.result("look", "seen.json")["reads"]["stack"] == sections
    assert ship.result("look", "seen.json")["reads"]["file"] == "behind a link"
    put(work / "third" / "z", "changed")
    ended = ship.run()
    assert "look: runs (input stack changed)" in ended.out
    assert ship.result("look", "seen.json")["reads"]["stack"]["d"] == "changed"


def test_a_folder_that_is_a_link_with_relative_links_in_it(ship: Ship) -> None:
    """Inside the container that folder is where the user names it, so `..` leads elsewhere than outside."""
    put(ship.work / "real" / "far" / "x", "behind both")
    (ship.work / "real" / "stack").mkdir()
    (ship.work / "real" / "stack" / "a").symlink_to("../far/x")
    (ship.work / "stack").symlink_to("real/stack")
    ship.pipeline(LINKED)
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert ship.result("look", "seen.json")["reads"]["stack"] == {"a": "behind both"}


def test_links_that_lead_nowhere_are_told_as_with_the_local_engine(ship: Ship) -> None:
    put(ship.work / "stack" / "a", "plain")
    (ship.work / "stack" / "b").symlink_to(ship.work / "nowhere")
    (ship.work / "stack" / "c").symlink_to("c")
    ship.pipeline(LINKED)
    docker, local = ship.run(), ship.run(engine="local")
    assert docker.code == local.code == 2
    assert docker.error == local.error
    assert "nowhere" in docker.error or "stack/b" in docker.error


def test_a_link_to_a_folder_among_the_sections(ship: Ship) -> None:
    """A whole folder behind a link is no section; what it is told is the same with both engines."""
    put(ship.work / "stack" / "a", "plain")
    put(ship.work / "whole" / "x", "deep")
    (ship.work / "stack" / "more").symlink_to(ship.work / "whole")
    ship.pipeline(LINKED)
    docker, local = ship.run(), ship.run("--workdir", "local", engine="local")
    assert (docker.code, docker.err) == (local.code, local.err)


def test_a_dataset_in_a_file(ship: Ship) -> None:
    """The file is what is mounted, the dataset goes on to the stage."""
    put(ship.work / "image.h5", "as good as HDF5 here")
    ship.pipeline(LINKED)
    for written, dataset in ((f"{ship.work}/image.h5:raw", "raw"), ("image.h5@volumes/raw", "volumes/raw")):
        ended = ship.run("--input", f"stack={written}", "--replace")
        assert ended.code == 0, ended.err
        seen = ship.result("look", "seen.json")
        assert (seen["reads"], seen["datasets"]) == ({"stack": "as good as HDF5 here"}, {"stack": dataset})


def test_folders_of_the_system_are_refused(ship: Ship) -> None:
    ship.pipeline(LINKED)
    ended = ship.run("--input", "stack=/usr/share")
    assert (ended.code, ended.error) == (
        2,
        "--engine docker: step look: input stack /usr/share: mounting it would hide a system folder of the "
        "container; move the data to a separate folder, or use --engine local",
    )


def test_links_to_parts_of_the_system_are_passed_over(ship: Ship) -> None:
    """As a virtual environment beside the sections has them: they are the image's own inside."""
    put(ship.work / "stack" / "a", "plain")
    (ship.work / "stack" / "more").mkdir()
    for name, to in (("python", "/usr/bin/env"), ("lib", "/usr/lib"), ("hosts", "/etc/hosts")):
        (ship.work / "stack" / "more" / name).symlink_to(to)
    ship.pipeline(LINKED)
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert ship.result("look", "seen.json")["reads"]["stack"] == {"a": "plain"}


@pytest.mark.parametrize("length", [200])
def test_long_names(ship: Ship, length: int) -> None:
    """A container's name is made of them."""
    put(ship.work / "stack" / "a", "plain")
    step = "s" * (length - 20)
    ship.pipeline(f"name: demo\ninputs: {{stack: {{path: stack}}}}\nsteps: {{{step}: {{stage: look}}}}\n")
    ended = ship.run("--workdir", "w" * length)
    assert ended.code == 0, ended.err
