"""Ctrl-C, SIGTERM, a closed terminal and kill -9: state is saved, no orphan is left, the next run goes on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir import lock as locking
from floodrunner.runner.workdir.lock import holder, lock

if TYPE_CHECKING:
    from conftest import House

SLOW = "name: demo\nsteps: {slow: {stage: slow, params: {steps: 4000, seconds: 0.05, ignore_stop: IGNORE}}}\n"

Wait = Callable[..., None]


def started(house: House, wait_for: Wait, ignore: float = 0, steps: int = 3) -> tuple[subprocess.Popen[str], int]:
    """A run whose stage is at work; the process of the run, and the stage's pid."""
    house.pipeline(SLOW.replace("IGNORE", str(float(ignore))))
    process = house.start("run", "p.yaml")
    return process, at_work(house, wait_for, steps)


def at_work(house: House, wait_for: Wait, steps: int = 3) -> int:
    events = house.work / "runs/demo/slow/events.jsonl"
    wait_for(lambda: events.exists() and events.read_text().count('"metric"') >= steps)
    return int((house.work / "runs/demo/slow/state/pid").read_text())


def count(house: House) -> int:
    return int((house.work / "runs/demo/slow/state/count").read_text())


def run_json(house: House) -> Any:
    return json.loads((house.work / "runs/demo/run.json").read_text())


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_state_and_the_next_run_goes_on(house: House, wait_for: Wait, number: int) -> None:
    process, stage = started(house, wait_for)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "floodrunner: interrupted; run again to continue\n"
    assert "slow: stopping: the step saves its state if it has one (Ctrl-C again kills the step)" in out
    reached = re.search(r"^slow: stopped after .* at (\d+/4000 steps)$", out, re.MULTILINE)
    assert reached
    assert f"slow  stopped at {reached[1]}, " in house("status").out
    assert gone(stage)
    saved = count(house)
    assert saved >= 3
    assert run_json(house)["status"] == "interrupted"
    assert run_json(house)["steps"]["slow"]["status"] == "interrupted"
    ended = house("run", "p.yaml", "--set", f"slow.steps={saved + 2}")
    assert ended.code == 0
    assert "slow: runs (not finished last time, continues from its state if " in ended.out
    assert f"from {saved}\n" in (house.work / "runs/demo/slow/log.txt").read_text()


def test_ctrl_c_in_a_terminal(house: House, wait_for: Wait) -> None:
    """The terminal sends Ctrl-C to its whole foreground group: the stage must not die of it before it has saved."""
    house.pipeline(SLOW.replace("IGNORE", "0.0"))
    command, environment = house.command("run", "p.yaml")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(house.work)
        os.execvpe(command[0], command, {**environment, "TERM": "xterm", "COLUMNS": "150"})
    shown = bytearray()

    def read() -> None:
        try:
            while block := os.read(terminal, 4096):
                shown.extend(block)
        except OSError:  # the terminal's other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    stage = at_work(house, wait_for, 20)
    wait_for(lambda: "steps" in shown.decode(errors="replace"))
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    reader.join(10)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert gone(stage)
    assert count(house) >= 20
    text = shown.decode(errors="replace")
    assert "/4000 steps" in text
    assert "loss 0." in text
    assert "left" in text
    assert "stopping: the step saves its state if it has one (Ctrl-C again kills the step)" in text
    assert "interrupted; run again to continue" in text
    assert "\x1b[?25h" in text  # the cursor is shown again


def test_a_second_ctrl_c_kills(house: House, wait_for: Wait) -> None:
    process, stage = started(house, wait_for, ignore=60)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: psutil.Process(stage).status() == psutil.STATUS_SLEEPING)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)  # it waits for the state
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == "floodrunner: interrupted; run again to continue\n"
    assert gone(stage)


@pytest.mark.parametrize("ignore", [0.0, 2.5])
def test_kill_9_of_the_runner_leaves_no_orphan(house: House, wait_for: Wait, ignore: float) -> None:
    process, stage = started(house, wait_for, ignore=ignore)
    process.kill()
    process.wait()
    if ignore:
        # While the stage still saves, a new run waits for it instead of writing into the same state.
        assert not gone(stage)
        ended = house("run", "p.yaml", "--set", "slow.steps=5")
        assert ended.code == 0, ended.err
        assert gone(stage)
        starts = re.findall(r"^from (\d+)$", (house.work / "runs/demo/slow/log.txt").read_text(), re.MULTILINE)
        assert starts[0] == "0"
        assert int(starts[1]) >= 3  # what the first saved after its runner was gone
    wait_for(lambda: gone(stage))
    assert count(house) >= 3
    status = house("status", "runs/demo")
    if not ignore:
        assert "was killed (started " in status.out
        ended = house("run", "p.yaml", "--set", f"slow.steps={count(house)}")
        assert (
            "slow: runs (not finished last time, continues from its state if data and settings are the same)"
            in ended.out
        )
        assert ended.code == 0


def test_kill_9_of_the_runner_does_not_keep_the_folder_locked(house: House, wait_for: Wait) -> None:
    process, stage = started(house, wait_for)
    process.kill()
    process.wait()
    wait_for(lambda: gone(stage))
    assert json.loads((house.work / "runs/demo/.lock").read_text())["pid"] == process.pid  # it had no time to tidy up
    assert house("run", "p.yaml", "--set", f"slow.steps={count(house)}").code == 0


def test_a_signal_to_the_stage_alone_is_no_crash(house: House, wait_for: Wait) -> None:
    process, stage = started(house, wait_for)
    os.kill(stage, signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "floodrunner: step slow: stopped by a signal from outside; run again to continue\n"


def test_the_second_run_is_refused_by_name_of_the_first(house: House, wait_for: Wait) -> None:
    process, _ = started(house, wait_for)
    ended = house("run", "p.yaml", "--set", "slow.steps=1")
    assert ended.code == 2
    holder = json.loads((house.work / "runs/demo/.lock").read_text())
    assert holder["pid"] == process.pid
    assert f"runs/demo: is in use by process {process.pid} on {os.uname().nodename} since 20" in ended.error
    assert ended.error.endswith(
        ": floodrunner run p.yaml; wait for it, stop it, or choose another run folder with --workdir"
    )
    ended = house("clean", "runs/demo", "--yes")
    assert ended.code == 2
    assert f"is in use by process {process.pid}" in ended.error
    # Looking needs no lock.
    assert "slow  run" in house("plan", "p.yaml").out
    status = house("status")
    assert "running since 20" in status.out
    assert f"(process {process.pid} on " in status.out
    assert "/4000 steps" in status.out
    assert "from 0" in house("logs", "slow").out
    assert process.poll() is None
    assert house("run", "p.yaml", "--workdir", "other", "--set", "slow.steps=1").code == 0


def test_a_lock_file_that_was_removed_while_we_waited_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`clean` holds the lock and removes the folder; we had its file open already, and get a lock on nothing."""
    flock = locking._flock
    removed = []

    def and_clean(descriptor: int, path: Path, how: int) -> bool:
        if not removed:
            removed.append(path)
            path.unlink()
        return flock(descriptor, path, how)

    monkeypatch.setattr(locking, "_flock", and_clean)
    with lock(tmp_path, "first"):
        assert removed
        assert (holder(tmp_path) or {})["command"] == "first"
        with (
            pytest.raises(UserError, match=r"is in use by process .* first; wait for it"),
            lock(tmp_path, "2nd"),
        ):
            pass
    assert holder(tmp_path) is None


def test_a_look_at_a_run_that_was_killed_does_not_bring_it_back(tmp_path: Path) -> None:
    """`status` holds the lock, shared, for an instant; the name in the file is of a run long dead."""
    dead = {"pid": 1, "host": "h", "since": "2026-01-31T12:00:00+00:00", "command": "dead"}
    (tmp_path / ".lock").write_text(json.dumps(dead))
    looking = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    timer = threading.Timer(0.1, os.close, [looking])
    timer.start()
    with lock(tmp_path, "new"):
        assert (holder(tmp_path) or {})["command"] == "new"
    timer.join()
    assert (tmp_path / ".lock").read_bytes() == b""


def test_following_a_log_ends_with_the_run(house: House, wait_for: Wait) -> None:
    process, _ = started(house, wait_for)
    follower = house.start("logs", "slow", "--follow")
    with pytest.raises(subprocess.TimeoutExpired):
        follower.wait(1)
    process.send_signal(signal.SIGINT)
    out, _ = follower.communicate(timeout=20)
    assert follower.returncode == 0
    assert "from 0\n" in out
    assert out.endswith("stopped\n")


def test_nohup_is_respected(house: House, wait_for: Wait) -> None:
    house.pipeline(SLOW.replace("IGNORE", "0.0"))
    command, environment = house.command("run", "p.yaml", "--set", "slow.steps=20")

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        command,
        cwd=house.work,
        env=environment,
        preexec_fn=ignore,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    at_work(house, wait_for)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0


def test_a_reader_that_leaves_does_not_stop_the_run(house: House, wait_for: Wait) -> None:
    """`floodrunner run ... | head -1`."""
    house.pipeline(SLOW.replace("IGNORE", "0.0"))
    process = house.start("run", "p.yaml", "--set", "slow.steps=20")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert Path(house.work / "runs/demo/slow/count.json").read_text() == "20"
