"""What a step is allowed, seen from inside its container."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from floodrunner.runner.engines.docker import client
from tests.docker.conftest import image_name
from tests.docker.steps.conftest import Ship, is_root, launch, scuttle
from tests.runner.conftest import House

if TYPE_CHECKING:
    from docker import DockerClient

PIPELINE = """
name: demo
inputs:
  stack: {path: stack}
  file: {path: file.txt}
steps:
  former: {stage: lines, params: {steps: 2, seconds: 0}}
  other: {stage: lines, params: {steps: 1, seconds: 0}}
  look: {stage: look, in: {stack: inputs.stack, file: inputs.file, former: former.count}}
"""


@pytest.fixture(scope="module")
def listener(engine: DockerClient) -> Iterator[tuple[str, int]]:
    """A server on this machine that a container with a network can reach: address and port."""
    found = [each.address for name in psutil.net_if_addrs().values() for each in name if each.family == socket.AF_INET]
    address = next(address for address in found if not address.startswith("127."))
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield address, port
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def seen(shipyard: House, engine: DockerClient, listener: tuple[str, int]) -> Iterator[tuple[Ship, dict[str, Any]]]:
    """A run with a step that has looked around, and what it saw."""
    with elsewhere() as folder:
        ship = launch(shipyard, engine, folder)
        seen = look_around(ship, listener)
        yield ship, seen
        scuttle(ship)


@contextlib.contextmanager
def elsewhere() -> Iterator[Path]:
    """A folder that is not below /tmp, which a container has as a file system of its own."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def look_around(ship: Ship, listener: tuple[str, int], *command: str) -> dict[str, Any]:
    """Runs the pipeline, behind `command` if there is one; what its step `look` saw."""
    (ship.work / "stack").mkdir()
    for name in "ab":
        (ship.work / "stack" / name).write_text(f"section {name}")
    (ship.work / "file.txt").write_text("a file")
    ship.pipeline(PIPELINE)
    sets = ["--set", f"look.write={json.dumps(places(ship))}"]
    sets += ["--set", f"look.host={listener[0]}", "--set", f"look.port={listener[1]}"]
    arguments, environment = ship.house.command("run", "p.yaml", "--engine", "docker", *sets)
    ended = subprocess.run(
        [*command, *arguments], cwd=ship.work, env={**environment, **HOME}, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = ship.result("look", "seen.json")
    return found


HOME = {"HOME": "/home/of-the-caller", "USER": "somebody", "SECRET": "of the caller"}
SYSTEM = (
    "/",
    "/usr",
    "/home",
    "/etc",
    "/var",
    "/root",
    "/usr/local/lib/floodrunner",
    "/dev",
    "/sys",
    "/proc/sys/kernel",
)


def places(ship: Ship) -> list[str]:
    folder = ship.folder("look")
    theirs = [ship.work / "stack", ship.work / "stack" / "a", ship.work / "file.txt", ship.work]
    steps = [folder.parent, folder.parent / "run.json", ship.folder("former"), ship.folder("former") / "count.json"]
    own = [folder, folder / "state", folder / "partial", "/tmp"]
    return [str(path) for path in (*SYSTEM, *theirs, *steps, ship.folder("other"), *own)]


def test_a_step_is_its_caller(seen: tuple[Ship, dict[str, Any]]) -> None:
    ship, look = seen
    assert look["user"] == [os.getuid(), os.getgid()]
    assert look["groups"] == sorted({*os.getgroups(), os.getgid()})
    assert look["home"] == look["environment"]["HOME"] == "/tmp"
    assert look["environment"]["USER"] == pwd.getpwuid(os.getuid()).pw_name
    assert "SECRET" not in look["environment"]
    assert look["folder"] == str(ship.folder("look"))
    made = [ship.folder("look"), *ship.folder("look").rglob("*")]
    assert {path.name for path in made} >= {"seen.json", "events.jsonl", "log.txt", "state"}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(os.getuid(), os.getgid())}


def test_a_step_has_no_rights(seen: tuple[Ship, dict[str, Any]]) -> None:
    look = seen[1]
    status = look["status"]
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert look["rights"] == {"become another": "EPERM", "give away": "EPERM", "make a device": "EPERM"}


def test_a_step_writes_to_its_own_folder_and_tmp_alone(seen: tuple[Ship, dict[str, Any]]) -> None:
    ship, look = seen
    writes, own = look["writes"], ship.folder("look")
    assert set(writes) == set(places(ship))
    done = {path for path, what in writes.items() if what == "done"}
    may = {str(own), str(own / "state"), str(own / "partial"), "/tmp"}
    assert done - {"/dev"} == may  # root's /dev is in memory, and the container's own
    assert {writes[path] for path in ("/", "/usr", "/home", "/usr/local/lib/floodrunner")} <= {"EROFS", "EACCES"}
    for path in (ship.work / "stack", ship.work / "stack" / "a", ship.work / "file.txt"):
        assert writes[str(path)] == "EROFS"
    assert writes[str(ship.folder("former") / "count.json")] == "EROFS"
    assert writes[str(ship.folder("other"))] == "ENOENT"  # a step that is no input is not even visible


def test_inputs_are_read_where_they_are(seen: tuple[Ship, dict[str, Any]]) -> None:
    ship, look = seen
    stack, file, former = (look["reads"][port] for port in ("stack", "file", "former"))
    assert (stack, file, former) == ({"a": "section a", "b": "section b"}, "a file", "[0, 1]")
    job = json.loads((ship.folder("look") / "job.json").read_text())
    assert job["inputs"]["file"] == str(ship.work / "file.txt")
    assert job["inputs"]["former"] == str(ship.folder("former") / "count.json")
    assert (ship.work / "stack" / "a").read_text() == "section a"


def test_a_step_has_no_network(
    seen: tuple[Ship, dict[str, Any]], engine: DockerClient, listener: tuple[str, int]
) -> None:
    look = seen[1]
    found = [name for name in look["interfaces"] if not name.startswith(("tunl", "sit", "gre", "erspan", "ip"))]
    assert found == ["lo"]
    assert look["routes"] == []
    assert look["reaches"] == "ENETUNREACH"
    # The server is there: a container with a network reaches it.
    connect = f"import socket; socket.create_connection({listener!r}, timeout=5)"
    python = "/usr/local/lib/floodrunner/venv/bin/python"
    engine.containers.run(image_name(seen[0].house), ["-c", connect], entrypoint=python, remove=True)


def test_signals_and_orphans_are_seen_to(seen: tuple[Ship, dict[str, Any]]) -> None:
    """As process 1 a stage would not get signals before it listens."""
    assert seen[1]["first_process"] in ("docker-init", "tini")


@pytest.mark.skipif(not is_root(), reason="needs root, to become another user; the tests above were another user's")
def test_a_caller_who_is_not_root(shipyard: House, engine: DockerClient, listener: tuple[str, int]) -> None:
    socket_file = Path(client.address().removeprefix("unix://"))
    if not socket_file.is_socket():
        pytest.skip(f"needs an engine at a socket, not at {client.address()}")
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    group, mode = socket_file.stat().st_gid, socket_file.stat().st_mode
    if not mode & stat.S_IWGRP or group == 0:
        pytest.skip(f"{socket_file} is root's alone: no other user can be given the engine")
    # The interpreter may be in root's home: who runs it here may pass through, and has no other right.
    become = ["setpriv", "--reuid", "1234", "--regid", "2345", "--groups", f"2345,3456,{group}"]
    become += [f"--{which}=-all,+dac_read_search" for which in ("bounding-set", "inh-caps", "ambient-caps")]
    with elsewhere() as folder:
        ship = launch(shipyard, engine, folder)
        try:
            os.chown(ship.work, 1234, 2345)
            saw = look_around(ship, listener, *become)
            check_another(ship, saw, sorted([2345, 3456, group]))
        finally:
            scuttle(ship)


def check_another(ship: Ship, look: dict[str, Any], groups: list[int]) -> None:
    """What a step of the user 1234 saw."""
    assert look["user"] == [1234, 2345]
    assert look["groups"] == groups
    assert look["environment"]["USER"] == "user"  # a uid without a name
    assert look["home"] == "/tmp"
    assert int(look["status"]["CapEff"], 16) == int(look["status"]["CapBnd"], 16) == 0
    assert look["reads"]["stack"] == {"a": "section a", "b": "section b"}
    made = [path for path in (ship.work / "runs").rglob("*") if {"former", "look"} & set(path.parts)]
    assert len(made) > 10
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(1234, 2345)}
    own = ship.folder("look")
    done = {path for path, what in look["writes"].items() if what == "done"}
    assert done == {"/tmp", *(str(path) for path in (own, own / "state", own / "partial"))}


def test_the_interpreter_of_the_tests_is_not_the_stages(seen: tuple[Ship, dict[str, Any]]) -> None:
    """Else all of this would have been seen outside."""
    assert seen[1]["environment"]["PATH"] != os.environ["PATH"]
    assert seen[1]["environment"]["PYTHONPATH"] == "/usr/local/lib/floodrunner"
