"""A disk that gets full in a step's folder: one line, nothing lost, and the next run goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.steps.conftest import Ship, is_root

HOARD = """
name: demo
steps:
  first: {stage: lines, params: {steps: 2, seconds: 0}}
  hoard: {stage: hoard, in: {source: first.count}, params: {megabytes: 6}}
"""


@pytest.fixture
def small_disk(ship: Ship) -> Iterator[Path]:
    """The run folder, on a disk of 4 MB of its own."""
    if not is_root():
        pytest.skip("needs root, to mount a small disk")
    folder = ship.work / "runs"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"needs the right to mount: {made.stderr.decode().strip()}")
    yield folder
    for container in ship.containers():
        container.remove(force=True)
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_gets_full_in_a_step(ship: Ship, small_disk: Path, left_behind: Callable[[], list[str]]) -> None:
    ship.pipeline(HOARD)
    ended = ship.run()
    assert ended.code == 2
    where = ship.folder("hoard")
    assert ended.error == (
        f"step hoard: {where / 'partial'}: no space left on device; free some space and run again: "
        "finished steps are kept"
    )
    assert left_behind() == []
    assert ship.result("first", "count.json") == [0, 1]
    kept = {path.name: path.stat().st_mtime_ns for path in (where / "state").glob("*.part")}
    assert 0 < len(kept) < 6
    subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
    ended = ship.run()
    assert ended.code == 0, ended.err
    assert "first: skipped (nothing changed)" in ended.out.splitlines()
    assert "hoard: runs (not finished last time, continues from its state if " in ended.out
    assert (where / "much.json").read_text() == "6 True"
    assert {name: (where / "state" / name).stat().st_mtime_ns for name in kept} == kept  # they were not made again
    assert left_behind() == []


def test_a_disk_that_is_full_to_the_last_byte(
    ship: Ship, small_disk: Path, left_behind: Callable[[], list[str]]
) -> None:
    """Not even the log and the closing event find room."""
    ship.pipeline(HOARD)
    assert ship.run("--set", "hoard.megabytes=1").code == 0
    with contextlib.suppress(OSError), open(small_disk / "filler", "wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    assert os.statvfs(small_disk).f_bavail == 0
    before = sorted(path.name for path in ship.folder("hoard").iterdir())
    saved = ship.folder("hoard") / "state" / "0.part"
    written = saved.stat().st_mtime_ns
    ended = ship.run("--set", "hoard.megabytes=2")
    assert ended.code == 2
    assert "no space left on device; free some space and run again" in ended.error
    assert left_behind() == []
    # The former result is withdrawn before the step runs again; everything else stays, above all the state.
    assert set(before) - {path.name for path in ship.folder("hoard").iterdir()} <= {"step.json", "much.json"}
    assert saved.stat().st_mtime_ns == written
    assert ship.result("first", "count.json") == [0, 1]
    (small_disk / "filler").unlink()
    ended = ship.run("--set", "hoard.megabytes=2")
    assert ended.code == 0, ended.err
    assert (ship.folder("hoard") / "much.json").read_text() == "2 True"
    assert left_behind() == []
