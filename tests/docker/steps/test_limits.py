"""What a step may use and see, what it is told that needs more, and what it leaves for the runner to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from floodrunner.runner import words
from floodrunner.runner.engines.docker import client, mounts
from tests.docker.steps.conftest import Ship

GREEDY = "name: demo\nsteps: {{x: {{stage: greedy, {options}params: {{{params}}}}}}}\n"
LOOK = """
name: demo
inputs: {{stack: {{path: stack}}}}
steps: {{look: {{stage: look, in: {{stack: inputs.stack}}, {params}}}}}
"""
PROCESSES = "greedy: no more processes or threads can be started; raise processes of the step (or ulimit -u)"


def needs(able: str) -> None:
    if not client.info().get(able):
        pytest.skip(f"needs an engine that can limit this ({able})")


def test_a_step_that_needs_more_memory_is_told_so(ship: Ship, left_behind: Callable[[], list[str]]) -> None:
    needs("MemoryLimit")
    ship.pipeline(GREEDY.format(options="memory_gb: 0.1, ", params="megabytes: 400"))
    ended = ship.run()
    assert ended.code == 1
    assert ended.error == (
        "step x: crashed: out of memory: it may use 100.0 MB; set memory_gb of the step higher (there are "
        f"{words.size(client.info()['MemTotal'])}), or try a smaller box_xyz or fewer sections, or a machine with more "
        "memory; its output is in runs/demo/x/log.txt"
    )
    assert left_behind() == []
    ship.pipeline(GREEDY.format(options="memory_gb: 2, ", params="megabytes: 400"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    ship.pipeline(GREEDY.format(options="", params="megabytes: 400"))
    assert "Nothing to do" in ship.run().out  # a limit does not change a result


def test_files_in_tmp_are_memory_and_have_a_limit(ship: Ship) -> None:
    needs("MemoryLimit")
    ship.pipeline(GREEDY.format(options="memory_gb: 0.2, ", params="in_tmp: 150"))
    ended = ship.run()
    assert ended.code == 2
    assert "no space left on device" in ended.error


@pytest.mark.parametrize("what", ["threads", "processes"])
def test_a_step_that_starts_too_many_processes_is_told_so(ship: Ship, what: str) -> None:
    needs("PidsLimit")
    ship.pipeline(GREEDY.format(options="processes: 20, ", params=f"{what}: 100"))
    ended = ship.run()
    assert (ended.code, ended.error) == (1, f"step x: {PROCESSES}; its output is in runs/demo/x/log.txt")
    ship.pipeline(GREEDY.format(options="", params=f"{what}: 100"))
    ended = ship.run()
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("name", "to"), [("log.txt", "/etc/shadow"), ("events.jsonl", ""), ("partial/extra", "/etc/shadow")]
)
def test_what_a_step_leaves_does_not_lead_out_of_its_folder(ship: Ship, name: str, to: str) -> None:
    """The links lead to files of this machine, which the runner can read and the container cannot."""
    ship.pipeline(f"name: demo\nsteps: {{x: {{stage: leaves, params: {{name: {name}, to: '{to}'}}}}}}\n")
    ended = ship.run(seconds=60)
    kind = "link" if to else "named pipe"
    assert ended.code in (2, 3)
    assert f"a {kind}" in ended.error
    assert "root:" not in ended.out + ended.err
    for command in (["status"], ["logs", "x"]):
        ended = ship.house(*command)
        assert "root:" not in ended.out + ended.err


def test_beside_the_files_that_links_lead_to_nothing_is_seen(ship: Ship) -> None:
    stack, raw = ship.work / "stack", ship.work / "raw"
    stack.mkdir()
    raw.mkdir()
    for n in range(mounts.MOST):
        (raw / f"{n:04}").write_text(f"section {n}")
        (stack / f"{n:04}").symlink_to(raw / f"{n:04}")
    (raw / "secret").write_text("mine")
    ship.pipeline(LOOK.format(params=f"params: {{write: [{raw / 'secret'}]}}"))
    ended = ship.run()
    assert ended.code == 0, ended.err
    seen = ship.result("look", "seen.json")
    assert seen["reads"]["stack"] == {f"{n:04}": f"section {n}" for n in range(mounts.MOST)}
    assert seen["writes"] == {str(raw / "secret"): "ENOENT"}
    (raw / "more").write_text("one more")
    (stack / "more").symlink_to(raw / "more")
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert (
        f"step look: input stack holds links to 1001 places; the step can read all of {raw}" in ended.out.splitlines()
    )
    assert ship.result("look", "seen.json")["reads"]["stack"]["more"] == "one more"
    assert ship.result("look", "seen.json")["writes"] == {str(raw / "secret"): "EROFS"}


def test_keys_are_not_seen_through_a_link(ship: Ship, tmp_path: Path) -> None:
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True)
    (keys / "id_rsa").write_text("a key")
    (ship.work / "stack").mkdir()
    (ship.work / "stack" / "a").symlink_to(keys / "id_rsa")
    ship.pipeline(LOOK.format(params=""))
    ended = ship.run()
    assert ended.code == 2
    assert "which is part of .ssh in a home folder, where keys and settings are kept" in ended.error


def test_the_engines_socket_is_not_seen_through_a_link(ship: Ship, tmp_path: Path) -> None:
    """It would give a step all rights on this machine."""
    (ship.work / "stack").mkdir()
    (tmp_path / "hop").symlink_to(client.address().removeprefix("unix://"))
    (ship.work / "stack" / "x.tif").symlink_to(tmp_path / "hop")
    ship.pipeline(LOOK.format(params=""))
    for engine in ("docker", "auto"):
        ended = ship.run(engine=engine)
        assert ended.code == 2
        assert "a socket, not a file or folder, which a step does not get to see" in ended.error


def test_a_system_file_behind_two_links_is_not_seen(ship: Ship, tmp_path: Path) -> None:
    (ship.work / "stack").mkdir()
    (tmp_path / "hop").symlink_to("/etc/hostname")
    (ship.work / "stack" / "a").symlink_to(tmp_path / "hop")
    ship.pipeline(LOOK.format(params=""))
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert ship.result("look", "seen.json")["reads"]["stack"] == {}  # the link leads nowhere in the container
