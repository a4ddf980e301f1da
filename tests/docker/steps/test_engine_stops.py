"""The engine stopped, or killed, in the middle of a step: one line, and with the engine back, `run` goes on.

These tests stop the real engine, under whatever else it runs: only where FLOODRUNNER_TEST_MAY_STOP_ENGINE=1.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from docker.errors import DockerException
from requests.exceptions import RequestException

from floodrunner.runner.engines.docker import client
from tests.docker.steps.conftest import Ship, is_root
from tests.runner.conftest import Ended

if TYPE_CHECKING:
    from docker import DockerClient

Wait = Callable[..., None]

COUNT = "name: demo\nsteps: {count: {stage: lines, params: {steps: 4000, seconds: 0.05}}}\n"


class Daemon:
    """The engine's process, which can be ended and started again."""

    def __init__(self, engine: DockerClient, wait_for: Wait, log: Path) -> None:
        self._engine, self._wait_for, self._log = engine, wait_for, log
        self.address = client.address()
        self._socket = self.address.removeprefix("unix://")
        self._process = psutil.Process(self._listener())
        self.command = self._process.cmdline()

    def _listener(self) -> int:
        """Who listens at the socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._socket)
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[0])

    def answers(self) -> bool:
        try:
            return bool(self._engine.ping())
        except (DockerException, RequestException):
            return False

    def end(self, number: int) -> None:
        containerd = self._process.children()
        self._process.send_signal(number)
        self._process.wait(60)
        # A new engine that finds this one's containerd still ending would not hear when containers end.
        psutil.wait_procs(containerd, 30)
        assert not self.answers()

    def start(self) -> None:
        for _ in range(4):  # after kill -9 it may give up on its containerd, which is still about to end
            with open(self._log, "ab") as output:
                started = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            self._process = psutil.Process(started.pid)
            self._wait_for(lambda: self.answers() or started.poll() is not None, 60)  # noqa: B023
            if self.answers():
                return
        pytest.fail(f"the engine does not start again: {self._log}")


@pytest.fixture
def daemon(engine: DockerClient, wait_for: Wait, ship: Ship) -> Iterator[Daemon]:
    if os.environ.get("FLOODRUNNER_TEST_MAY_STOP_ENGINE") != "1":
        pytest.skip("stops the engine: only with FLOODRUNNER_TEST_MAY_STOP_ENGINE=1")
    if not is_root() or not client.address().startswith("unix://"):
        pytest.skip("needs root, and an engine at a socket, to stop and start it")
    daemon = Daemon(engine, wait_for, ship.work / "dockerd.log")
    if Path(daemon.command[0]).name != "dockerd":
        pytest.skip(f"{daemon.command[0]} listens for the engine; it is not for us to stop")
    yield daemon
    if not daemon.answers():
        daemon.start()


def test_the_engine_is_stopped_in_the_middle_of_a_step(ship: Ship, daemon: Daemon, at_line: Wait) -> None:
    """It asks its containers to leave, and waits for them."""
    ship.pipeline(COUNT)
    process = ship.start()
    at_line("count", 5)
    daemon.end(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        130,
        "floodrunner: step count: stopped by a signal from outside; run again to continue\n",
    )
    saved = int((ship.folder("count") / "state" / "count").read_text())
    ended = ship.run()
    assert ended.code == 2
    assert ended.error == f"--engine docker: no Docker engine at {daemon.address}; start Docker"
    daemon.start()
    goes_on(ship, saved)
    assert ship.containers() == []  # networks have other ids after a restart


def test_the_engine_is_killed_in_the_middle_of_a_step(ship: Ship, daemon: Daemon, at_line: Wait) -> None:
    """Its container works on, and nobody can reach it: nobody else may work on the same state."""
    ship.pipeline(COUNT)
    process = ship.start()
    at_line("count", 5)
    daemon.end(signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    where = daemon.address
    assert process.returncode == 1
    assert err == (
        f"floodrunner: step count: crashed: the Docker engine at {where} is gone; start the engine and run again; "
        "its output is in runs/demo/count/log.txt\n"
    )
    at_work = (
        f"{ship.folder('count')}: a container still runs there. If its engine is down, start the engine; "
        "else find the container with docker ps --filter label=org.floodrunner.step=count, "
        "run docker stop -t 600 NAME, and run again"
    )
    for engine in ("local", "auto"):
        ended = ship.run(engine=engine)
        assert (ended.code, ended.error) == (2, at_work)
    refused = ship.run()
    assert refused.code == 2
    assert refused.error.startswith(f"--engine docker: the Docker engine at {where} does not answer")
    assert ship.house("clean", "runs/demo", "--yes").code == 2
    daemon.start()
    ended = goes_on(ship, 5)
    assert "continues from its state" in ended.out
    assert ship.containers() == []  # networks have other ids after a restart


def goes_on(ship: Ship, saved: int) -> Ended:
    steps = saved + 1000
    ended = ship.run("--set", f"count.steps={steps}", "--set", "count.seconds=0")
    assert ended.code == 0, ended.err
    assert ship.result("count", "count.json") == list(range(steps))
    again = [int(line.split()[1]) for line in ship.log("count").splitlines() if line.startswith("from ")]
    assert again[0] == 0
    assert len(again) == 2
    assert again[1] >= saved
    return ended
