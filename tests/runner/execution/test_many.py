"""A pipeline run for many stacks by a pattern: folders, names, the table, failures, and what is refused before."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import hashlib
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from floodrunner.runner.execution.many import Stack, Stacks, run

if TYPE_CHECKING:
    from conftest import House

PIPELINE = """
name: demo
inputs: {texts: {path: texts}, more: {path: more.json}}
steps:
  one: {stage: copy-text, in: {source: inputs.texts, extra: inputs.more}}
  two: {stage: slow, in: {source: one.text}}
"""


@pytest.fixture
def many(house: House) -> House:
    house.pipeline(PIPELINE)
    (house.work / "more.json").write_text("shared")
    for name in ("a", "b", "c"):
        (house.work / "data" / name).mkdir(parents=True)
        (house.work / "data" / name / "t.txt").write_text(name * ord(name))
    return house


def test_each_has_a_folder_and_one_failure_does_not_stop_the_others(many: House) -> None:
    (many.work / "data/b/x.bad").write_text("")
    ended = many("run", "p.yaml", "--input", "texts=data/*/")
    assert ended.code == 2
    assert ended.error == "1 of 3 failed: b; run again to try these again"
    lines = ended.out.splitlines()
    assert lines[0] == "looking at 3 stacks ..."
    assert [line for line in lines if line.startswith("[")] == [
        f"[{number}/3] {name}, in runs/demo/{name}" for number, name in enumerate("abc", 1)
    ]
    table = [re.split(r"  +", line) for line in lines[-5:-1]]
    assert [row[:3] for row in table] == [
        ["run", "state", "length"],
        ["runs/demo/a", "done", "97"],
        ["runs/demo/b", "failed", "-"],
        ["runs/demo/c", "done", "99"],
    ]
    assert lines[-1].startswith("b: step one: ")
    assert "holds a .bad file; remove it" in lines[-1]
    (many.work / "data/b/x.bad").unlink()
    ended = many("run", "p.yaml", "--input", "texts=data/*/")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("one: skipped (nothing changed)") == 2
    assert "runs/demo/b  done       98" in ended.out
    assert (many.work / "runs/demo/b/one/text.json").read_text() == "b" * 98
    run = json.loads((many.work / "runs/demo/c/run.json").read_text())
    assert run["inputs"]["texts"]["path"] == str(many.work / "data/c")


def test_plan_shows_all_and_writes_nothing(many: House) -> None:
    ended = many("plan", "p.yaml", "--input", "texts=data/[ab]/", "--workdir", "out")
    assert ended.code == 0
    assert ended.out.splitlines()[1].startswith("demo for 2 stacks, engine local")
    assert [line.rstrip() for line in ended.out.splitlines()[2:]] == [
        "  one  run      never run",
        "  two  run      never run",
        "run folder  steps to run",
        "out/a       2 of 2",
        "out/b       2 of 2",
        "in all      4",
    ]
    assert not (many.work / "out").exists()


def test_plan_names_what_is_unlike_the_others(many: House) -> None:
    assert many("run", "p.yaml", "--input", "texts=data/a", "--workdir", "runs/demo/a").code == 0
    (many.work / "data/c/t.txt").unlink()
    ended = many("plan", "p.yaml", "--input", "texts=data/*")
    assert ended.code == 2
    rows = [" ".join(line.split()) for line in ended.out.splitlines() if line.startswith("runs/")]
    assert sorted(map(len, rows))[0] == len("runs/demo/b 2 of 2")
    assert "in all       2\n" in ended.out
    assert ended.error.startswith("c: would not run: ")


def test_names_come_from_what_varies_and_files_lose_their_suffix(many: House) -> None:
    for name in ("x 1", "y"):
        (many.work / "files" / name / "deep").mkdir(parents=True)
        (many.work / "files" / name / "deep" / "s.txt").write_text(name)
    ended = many("plan", "p.yaml", "--input", "texts=files/**/*.txt", "--workdir", "W")
    assert re.findall(r"W/[^ ]*", ended.out) == ["W/x-1-deep-s", "W/y-deep-s"]


def test_a_pattern_gives_the_folder_that_the_data_alone_has(many: House) -> None:
    many.pipeline(many.written.replace("name: demo", "name: demo\nrun_folder_per: texts"))
    for name in ("new1", "new.2"):
        (many.work / name).mkdir()
        (many.work / name / "t.txt").write_text(name)
    assert many("run", "p.yaml", "--input", "texts=new1").code == 0
    ended = many("plan", "p.yaml", "--input", "texts=new*/")
    assert re.findall(r"runs/demo/([^ ]*) +([0-9])", ended.out) == [("new.2", "2"), ("new1", "0")]


def test_what_is_wrong_is_told_before_the_first_stack_runs(many: House) -> None:
    for name in ("b", "c"):
        (many.work / "data" / name / "t.txt").unlink()
    ended = many("run", "p.yaml", "--input", "texts=data/*/")
    assert ended.code == 2
    lines = ended.out.splitlines()
    assert lines[1].startswith("b: does not run: ")
    assert "the folder data/b is empty" in lines[1]
    assert lines[2].startswith("c: does not run: ")
    assert lines[3] == "[1/1] a, in runs/demo/a"
    states = [line.split()[:2] for line in lines if line.startswith("runs/demo/")]
    assert states == [["runs/demo/b", "failed"], ["runs/demo/c", "failed"], ["runs/demo/a", "done"]]
    assert ended.error == "2 of 3 failed: b, c; run again to try these again"
    assert (many.work / "runs/demo/a/two/count.json").exists()


def test_what_is_wrong_with_all_of_them_is_refused(many: House) -> None:
    for name in ("a", "b", "c"):
        (many.work / "data" / name / "t.txt").unlink()
    ended = many("run", "p.yaml", "--input", "texts=data/*/")
    assert ended.code == 2
    assert "the folder data/b is empty" in ended.err
    assert "the folder data/c is empty" in ended.err
    assert not (many.work / "runs").exists()


def test_clashing_names_are_refused(many: House) -> None:
    for name in ("A", "a b", "a-b"):
        (many.work / "clash" / name).mkdir(parents=True)
        (many.work / "clash" / name / "t.txt").write_text("x")
    ended = many("run", "p.yaml", "--input", "texts=clash/*/")
    assert ended.code == 2
    assert ended.error.startswith(
        "clash/a b, clash/a-b: the results of both would be in runs/demo/a-b; write a pattern"
    )
    assert not (many.work / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--input", "texts=data/*/x*"], "--input texts=data/*/x*: nothing fits this pattern"),
        (["--input", "textx=data/*/"], "--input textx=data/*/: the pipeline has no input 'textx'; did you mean 'texts'?"),
        (["--input", "texts=data/a", "data/b", "data/c"], "data/b, data/c: not expected; if the shell has made several"),
        (["--input", "texts=data/[ab]", "--input", "more=data/*/t.txt"], "--input texts=data/[ab] --input more=data/*/t.txt: these have no partner, because what the wildcards stand for is not the same: data/c/t.txt (more); rename"),
        (["--input", "texts=data/*/", "--engine", "none"], "--engine none: unknown engine"),
    ],
)  # fmt: skip
def test_refused(many: House, arguments: list[str], error: str) -> None:
    ended = many("run", "p.yaml", *arguments)
    assert ended.code == 2
    assert ended.error.startswith(error)
    assert not (many.work / "runs").exists()


def test_a_folder_whose_name_has_brackets_is_no_pattern(many: House) -> None:
    (many.work / "data/a").rename(many.work / "data/[a]")
    ended = many("plan", "p.yaml", "--input", "texts=data/[a]")
    assert ended.code == 0
    assert ended.out.startswith("demo in runs/demo,")


def test_ctrl_c_stops_all_and_the_next_run_goes_on(many: House, wait_for: Callable[..., None]) -> None:
    process = many.start("run", "p.yaml", "--input", "texts=data/*/", "--set", "two.seconds=0.3")
    wait_for(lambda: (many.work / "runs/demo/b/two/state/pid").exists())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "floodrunner: interrupted; run again to continue\n"
    assert out.splitlines()[-1] == "2 of 3 are not done; run again to continue"
    assert "runs/demo/a  done" in out
    assert "runs/demo/b  stopped at two" in out
    assert not (many.work / "runs/demo/c").exists()
    ended = many("run", "p.yaml", "--input", "texts=data/*/", "--set", "two.seconds=0")
    assert ended.code == 0


def test_a_shared_input_is_read_once(many: House, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        read.append(os.path.relpath(file.name, many.work))
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.chdir(many.work)
    os.utime("more.json", (1, 1))  # the hash of a file that was written just now is not kept
    stacks = [
        Stack(name, many.setting(workdir=f"runs/{name}", inputs=[f"texts=data/{name}"]), "", {}, mock.Mock())
        for name in ("a", "b", "c")
    ]
    run(Stacks(tuple(stacks)), lambda lines: None)
    assert read.count("more.json") == 1
    assert all("more.json" in Path(f"runs/{name}/.hashes.json").read_text() for name in ("a", "b", "c"))
    assert "data/b/t.txt" in read
