"""What of this machine a container sees: the inputs, and what links in them lead to, without any engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner import mounts
from runner.engines import Job
from runner.errors import UserError


def job(tmp_path: Path, **inputs: Path | str) -> Job:
    return Job(
        step="one",
        stage="look",
        params={},
        inputs={port: str(path) for port, path in inputs.items()},
        outputs={},
        folder=tmp_path / "runs" / "one",
        gpu=False,
        network=False,
        shm_mib=0,
        program="",
        fingerprint="",
    )


def same(*paths: Path) -> dict[Path, Path]:
    return {path: path for path in paths}


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_files_and_folders_are_seen_once(tmp_path: Path) -> None:
    stack, file = put(tmp_path / "stack" / "a.png").parent, put(tmp_path / "file.h5")
    found = mounts.readable(job(tmp_path, a=stack, b=file, c=stack, d=stack / "a.png"))
    assert found == same(stack, file)


def test_a_dataset_is_no_part_of_the_path(tmp_path: Path) -> None:
    file = put(tmp_path / "a:b.h5")
    assert mounts.readable(job(tmp_path, a=f"{file}:raw")) == same(file)
    assert mounts.readable(job(tmp_path, a=f"{file}@volumes/raw")) == same(file)


def test_what_is_in_the_own_folder_is_there_anyway(tmp_path: Path) -> None:
    own = put(tmp_path / "runs" / "one" / "state" / "model.h5")
    assert mounts.readable(job(tmp_path, a=own)) == {}
    assert mounts.writable(job(tmp_path)) == tmp_path / "runs" / "one"


def test_links_lead_to_the_folders_of_what_they_point_at(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    stack.mkdir()
    (stack / "absolute").symlink_to(put(tmp_path / "far" / "a.png"))
    (stack / "relative").symlink_to(os.path.join("..", "near", put(tmp_path / "near" / "b.png").name))
    (stack / "within").symlink_to("absolute")
    (stack / "folder").symlink_to(put(tmp_path / "whole" / "c.png").parent)
    (stack / "broken").symlink_to(tmp_path / "nowhere" / "d.png")
    (tmp_path / "hop").mkdir()
    (tmp_path / "hop" / "on").symlink_to(put(tmp_path / "third" / "e.png"))
    (stack / "chain").symlink_to(tmp_path / "hop" / "on")
    found = mounts.readable(job(tmp_path, a=stack))
    assert found == same(stack, *(tmp_path / name for name in ("far", "near", "whole", "hop", "third")))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    stack = put(tmp_path / "stack" / "a.png").parent
    (stack / "x").symlink_to("y")
    (stack / "y").symlink_to("x")
    (stack / "self").symlink_to("self")
    (stack / "up").symlink_to("..")
    assert mounts.readable(job(tmp_path, a=stack)) == same(stack, tmp_path)


def test_a_relative_link_in_a_folder_that_is_itself_reached_through_a_link(tmp_path: Path) -> None:
    """Outside, `pool/../far` is where the folder really is; inside, where the input is said to be."""
    put(tmp_path / "real" / "far" / "a.png")
    stack = tmp_path / "real" / "stack"
    stack.mkdir()
    (stack / "a.png").symlink_to("../far/a.png")
    named = tmp_path / "work" / "stack"
    named.parent.mkdir()
    named.symlink_to(stack)
    found = mounts.readable(job(tmp_path, a=named))
    assert found == {named: named, tmp_path / "work" / "far": tmp_path / "real" / "far"}


@pytest.mark.parametrize(
    "path", ["/", "/usr", "/tmp", "/proc", "/usr/local/lib", "/usr/local/lib/floodrunner/stages", "/etc", "/dev/shm"]
)
def test_what_would_hide_a_part_of_the_image_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError) as caught:
        mounts.readable(job(tmp_path, images=path))
    assert str(caught.value) == (
        f"step one: input images {path}: would hide the system's own folder in the container; move the data to a "
        "folder of its own, or use --engine local"
    )


def test_a_link_to_such_a_folder_is_refused_as_well(tmp_path: Path) -> None:
    stack = put(tmp_path / "stack" / "a.png").parent
    (stack / "hosts").symlink_to("/etc/hosts")
    with pytest.raises(UserError, match="input images /etc: would hide the system's own folder in the container"):
        mounts.readable(job(tmp_path, images=stack))


def test_a_run_folder_that_is_a_system_folder_is_refused() -> None:
    with pytest.raises(UserError, match="step one: its folder /usr/share: would hide the system's own folder"):
        mounts.writable(Job("one", "look", {}, {}, {}, Path("/usr/share"), False, False, 0, "", ""))


@pytest.mark.parametrize("path", ["/home/me/data", "/data", "/mnt/c/data", "/usr2", "/var/tmp/x", "/tmp/x"])
def test_folders_of_users_are_not(tmp_path: Path, path: str) -> None:
    assert mounts.readable(job(tmp_path, a=path)) == same(Path(path))
