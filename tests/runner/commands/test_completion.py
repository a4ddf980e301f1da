"""What the shell offers for a line that is typed up to the cursor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floodrunner.runner import cli
from floodrunner.runner.commands.completion import Bash, Fish, Zsh

if TYPE_CHECKING:
    from conftest import House


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def offered(line: str, monkeypatch: pytest.MonkeyPatch, shell: type = Zsh) -> list[str]:
    monkeypatch.setenv("FLOODRUNNER_LINE", line)
    return str(shell(cli.cli, {}, "floodrunner", "_FLOODRUNNER_COMPLETE").complete()).split("\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("floodrunner ru", ["run", "runs"]),
        ("floodrunner run quick", ["quickstart"]),
        ("floodrunner run ffn --inp", ["--input"]),
        ("floodrunner run ffn --input ", ["images=", "labels="]),
        ("floodrunner run ffn --set train.max_st", ["train.max_steps="]),
        ("floodrunner run ffn --set train.schedule=", ["train.schedule=constant", "train.schedule=cosine"]),
        ("floodrunner run ffn --set segment.reflect_border=t", ["segment.reflect_border=true"]),
        ("floodrunner run ffn --force sc", ["score"]),
        ("floodrunner run ffn --engine l", ["local"]),
        ("floodrunner plan unet --from f", ["find"]),
        ("floodrunner stages fil", ["fill"]),
        ("floodrunner pipelines unet-q", ["unet-quickstart"]),
        ("floodrunner completion f", ["fish"]),
        ("floodrunner run nothing-like-it --set ", [""]),
        ("floodrunner run --set ", [""]),
        ("floodrunner logs ", [""]),
        ("floodrunner run ffn --input images=no/such/folder/", [""]),
    ],
)  # fmt: skip
def test_words(line: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(line, monkeypatch) == words
    assert offered(line, monkeypatch, Fish) == words


def test_files_come_after_the_name_of_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("data/my images", "data/.hidden"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data" / "vol.h5").touch()
    (tmp_path / "mine.yaml").write_text("name: [\n")
    assert offered("floodrunner run ffn --input images=da", monkeypatch) == ["images=data/"]
    assert offered("floodrunner run ffn --input images=data/", monkeypatch) == [
        "images=data/my images/",
        "images=data/vol.h5",
    ]
    assert offered("floodrunner run m", monkeypatch) == ["mine.yaml"]
    assert offered("floodrunner run mine.yaml --set ", monkeypatch) == [""]  # a file with a mistake
    assert offered("floodrunner run ffn --workdir da", monkeypatch) == ["data/"]


def test_bash_replaces_what_follows_the_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    assert offered("floodrunner run ffn --input images=da", monkeypatch, Bash) == ["data/"]
    assert offered("floodrunner run ffn --set train.schedule=co", monkeypatch, Bash) == ["constant", "cosine"]
    assert offered("floodrunner run ffn --set train.sch", monkeypatch, Bash) == ["train.schedule="]


def test_steps_and_runs_that_are_there(done: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(done.work)
    assert offered("floodrunner logs t", monkeypatch) == ["two", "three"]
    assert offered("floodrunner status runs/d", monkeypatch)[0] == "runs/demo"


def test_bash_itself(tmp_path: Path) -> None:
    """The printed script in a real bash: a space in a name is written so that bash takes it as one word."""
    (tmp_path / "my data").mkdir()
    command = tmp_path / "floodrunner"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m floodrunner "$@"\n')
    command.chmod(0o755)
    line = "floodrunner run ffn --input images=my"
    script = f"""
        eval "$(./floodrunner completion bash)"
        COMP_LINE='{line}' COMP_POINT={len(line)}
        _floodrunner_completion ./floodrunner 2>/dev/null
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p floodrunner
    """
    ended = subprocess.run(["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["my\\ data/", "complete -F _floodrunner_completion floodrunner"]
