"""What of this machine a container sees: the inputs, and what links in them lead to, without any engine."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from floodrunner.runner.engines.base import InputRefused, Job
from floodrunner.runner.engines.docker import hidden, links, mounts
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions


def job(tmp_path: Path, **inputs: Path | str) -> Job:
    return Job(
        step="one",
        stage="look",
        params={},
        inputs={port: str(path) for port, path in inputs.items()},
        outputs={},
        folder=tmp_path / "runs" / "one",
        options=StepOptions(gpu=False),
        program="",
        fingerprint="",
    )


@pytest.fixture(autouse=True)
def afresh() -> None:
    for function in (hidden._homes, hidden._is_home, hidden._of_folder, hidden._holders_of_homes):
        function.cache_clear()


def viewed(job: Job) -> mounts.View:
    """As a new run would see it."""
    mounts._led_to.cache_clear()
    return mounts.readable(job)


def seen(job: Job) -> dict[Path, Path]:
    return viewed(job).mounts


def refused(job: Job) -> str:
    with pytest.raises(InputRefused) as caught:
        viewed(job)
    return str(caught.value)


def same(*paths: Path) -> dict[Path, Path]:
    return {path: path for path in paths}


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_files_and_folders_are_seen_once(tmp_path: Path) -> None:
    stack, file = put(tmp_path / "stack" / "a.png").parent, put(tmp_path / "file.h5")
    found = seen(job(tmp_path, a=stack, b=file, c=stack, d=stack / "a.png"))
    assert found == same(stack, file)


def test_a_dataset_is_no_part_of_the_path(tmp_path: Path) -> None:
    file = put(tmp_path / "a:b.h5")
    assert seen(job(tmp_path, a=f"{file}:raw")) == same(file)
    assert seen(job(tmp_path, a=f"{file}@volumes/raw")) == same(file)


def test_what_is_in_the_own_folder_is_there_anyway(tmp_path: Path) -> None:
    own = put(tmp_path / "runs" / "one" / "state" / "model.h5")
    assert seen(job(tmp_path, a=own)) == {}
    assert mounts.writable(job(tmp_path)) == tmp_path / "runs" / "one"


def linked(tmp_path: Path) -> Path:
    """A stack of links to files, and to one folder."""
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
    return stack


def test_the_files_that_links_lead_to_are_seen_and_none_beside_them(tmp_path: Path) -> None:
    stack = linked(tmp_path)
    view = viewed(job(tmp_path, a=stack))
    files = ("far/a.png", "near/b.png", "hop/on", "whole")
    assert view.mounts == {path: path.resolve() for path in (stack, *(tmp_path / name for name in files))}
    assert view.remarks == [
        f"step one: input a holds links to folders; the step can read all of {tmp_path}/whole",
    ]


def test_very_many_links_have_their_folder_seen_which_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOST", 2)
    stack = tmp_path / "stack"
    stack.mkdir()
    for name in "abc":
        (stack / f"{name}.tif").symlink_to(put(tmp_path / "raw" / f"{name}.tif"))
    (stack / "d.tif").symlink_to(put(tmp_path / "other" / "d.tif"))
    view = viewed(job(tmp_path, a=stack))
    assert view.mounts == same(stack, tmp_path / "raw", tmp_path / "other" / "d.tif")
    assert view.remarks == [f"step one: input a holds links to 4 places; the step can read all of {tmp_path}/raw"]


def test_very_many_links_to_links_have_all_folders_on_the_way_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "MOST", 6)
    stack = linked(tmp_path)
    for n in range(3):
        (stack / f"more{n}").symlink_to(put(tmp_path / "far" / f"more{n}.png"))
    found = seen(job(tmp_path, a=stack))
    assert found.keys() == {
        stack,
        *(tmp_path / name for name in ("far", "near/b.png", "whole", "hop/on", "third/e.png")),
    }


def test_a_link_in_a_linked_folder_that_leads_on(tmp_path: Path) -> None:
    """The mount of the folder brings the second link into the container, which needs what that one leads to."""
    stack = tmp_path / "stack"
    stack.mkdir()
    (stack / "whole").symlink_to(put(tmp_path / "whole" / "c.png").parent)
    (tmp_path / "whole" / "on").symlink_to(put(tmp_path / "third" / "e.png"))
    (stack / "e.png").symlink_to(tmp_path / "whole" / "on")
    assert seen(job(tmp_path, a=stack)) == same(stack, tmp_path / "whole", tmp_path / "third" / "e.png")


def annexed(tmp_path: Path) -> Path:
    """A stack as git-annex keeps it: links to files that are each in a folder of its own."""
    stack = tmp_path / "home" / "set" / "images"
    stack.mkdir(parents=True)
    for name in "abc":
        put(tmp_path / "home" / "set" / ".git" / "annex" / "objects" / name / "SHA" / "x.tif")
        (stack / f"{name}.tif").symlink_to(f"../.git/annex/objects/{name}/SHA/x.tif")
    return stack


def test_links_to_files_in_very_many_folders_have_the_folder_above_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mounts, "MOST", 2)
    stack = annexed(tmp_path)
    view = viewed(job(tmp_path, a=stack))
    objects = stack.parent / ".git" / "annex" / "objects"
    assert view.mounts == same(stack, objects)
    assert view.remarks == [f"step one: input a holds links to 3 places; the step can read all of {objects}"]
    named = tmp_path / "named"
    named.symlink_to(stack.parent)
    found = seen(job(tmp_path, a=named / "images"))
    assert found == {named / "images": named / "images", named / ".git" / "annex" / "objects": objects}


def test_files_in_a_home_are_seen_one_by_one_and_very_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the whole home could be mounted for them. Those in folders of the home are few enough."""
    home = tmp_path / "homes" / "me"
    monkeypatch.setenv("HOME", str(home))
    stack = tmp_path / "stack"
    stack.mkdir()
    files = [put(home / f"{n}.tif") for n in range(150)] + [put(home / f"day{n}" / "a.png") for n in range(150)]
    for number, file in enumerate(files):
        (stack / f"{number}.tif").symlink_to(file)
    assert seen(job(tmp_path, a=stack)) == same(stack, *files)
    monkeypatch.setattr(mounts, "MOST", 200)
    assert refused(job(tmp_path, a=stack)) == (
        f"step one: input a: {stack} holds links to 300 places, more than a container can be given, and their folders "
        "hold what no step gets to see; copy the files into one folder (with --engine local a step sees all that you "
        "see)"
    )


def test_folders_on_several_disks_are_joined_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the two there is a home, of which the container sees nothing."""
    monkeypatch.setattr(mounts, "MOST", 2)
    stack = tmp_path / "stack"
    stack.mkdir()
    for disk in ("dA", "dB"):
        for day in range(5):
            (stack / f"{disk}{day}.png").symlink_to(put(tmp_path / disk / f"day{day}" / "a.png"))
    put(tmp_path / "home" / ".bashrc")
    put(tmp_path / "home" / ".config" / "token")
    assert seen(job(tmp_path, a=stack)) == same(stack, tmp_path / "dA", tmp_path / "dB")
    monkeypatch.setattr(mounts, "MOST", 1)
    assert "and their folders hold what no step gets to see" in refused(job(tmp_path, a=stack))


HIDDEN = "which is part of {} in a home folder, where keys and settings are kept"


@pytest.mark.parametrize(
    ("to", "what"),
    [
        (".ssh", HIDDEN.format(".ssh")),
        (".ssh/id_rsa", HIDDEN.format(".ssh")),
        (".git-credentials", HIDDEN.format(".git-credentials")),
        (".local/share/keyrings/x", HIDDEN.format(".local")),
        ("data/to-keys", HIDDEN.format(".ssh")),
        ("data/keys/id_rsa", HIDDEN.format(".ssh")),
        ("data/twice", HIDDEN.format(".ssh")),
        ("", "a home folder"),
        ("..", "which holds home folders"),
        ("../other", "a home folder"),
        ("../other/.npmrc", HIDDEN.format(".npmrc")),
        ("../windows/AppData/Roaming/x", HIDDEN.format("AppData")),
        ("../../run", "which holds the socket engine.sock"),
        ("../../run/engine.sock", "a socket, not a file or folder"),
        ("../../run/pipe", "a named pipe, not a file or folder"),
        ("data/to-socket", "a socket, not a file or folder"),
    ],
)
def test_what_is_private_is_not_seen_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, what: str
) -> None:
    home = tmp_path / "homes" / "me"
    monkeypatch.setenv("HOME", str(home))
    for name in (".ssh/id_rsa", ".git-credentials", ".local/share/keyrings/x", "data/a.tif", "set/.git/annex/a.tif"):
        put(home / name)
    for name in ("other/.bashrc", "other/.npmrc", "windows/NTUSER.DAT", "windows/AppData/Roaming/x"):
        put(home.parent / name)
    put(tmp_path / "run" / "x")
    os.mkfifo(tmp_path / "run" / "pipe")
    monkeypatch.chdir(tmp_path / "run")  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("engine.sock")
    for name, target in (("to-keys", "../.ssh/id_rsa"), ("keys", "../.ssh"), ("twice", "to-keys")):
        (home / "data" / name).symlink_to(target)
    (home / "data" / "to-socket").symlink_to(tmp_path / "run" / "engine.sock")
    stack = put(tmp_path / "stack" / "a.tif").parent
    (stack / "b.tif").symlink_to(home / "data" / "a.tif")
    (stack / "annexed.tif").symlink_to(home / "set" / ".git" / "annex" / "a.tif")
    kept = same(stack, home / "data" / "a.tif", home / "set" / ".git" / "annex" / "a.tif")
    assert seen(job(tmp_path, a=stack)) == kept
    target = Path(os.path.normpath(home / to))
    (stack / "c.tif").symlink_to(target)
    assert refused(job(tmp_path, a=stack)) == (
        f"step one: input a: {stack}/c.tif leads to {os.path.realpath(target)}, {what}, which a step does not get to "
        "see; copy the files that are meant to another folder (with --engine local a step sees all that you see)"
    )


def test_a_socket_is_not_seen_even_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("engine.sock")
    assert "engine.sock, a socket, not a file or folder" in refused(job(tmp_path, a=tmp_path / "engine.sock"))


def test_homes_of_others_are_known_and_folders_of_services_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For root too, whose own home says nothing of theirs."""
    shelf = put(tmp_path / "shelf" / "ann" / "a.tif").parent.parent
    put(tmp_path / "srv" / "www" / "a.tif")
    put(tmp_path / "homes" / "x" / "a.tif")
    people = [SimpleNamespace(pw_uid=1500, pw_dir=f"{shelf}/ann"), SimpleNamespace(pw_uid=33, pw_dir=f"{tmp_path}/srv")]
    monkeypatch.setattr(hidden.pwd, "getpwall", lambda: people)
    monkeypatch.setattr(hidden, "_HOLD_HOMES", (tmp_path / "homes",))
    stack = put(tmp_path / "stack" / "a.tif").parent
    (stack / "b").symlink_to(tmp_path / "srv")
    assert seen(job(tmp_path, a=stack)) == same(stack, tmp_path / "srv")
    for to, what in (("shelf", "which holds home folders"), ("shelf/ann", "a home folder"), ("homes", "which holds")):
        (stack / "c").symlink_to(tmp_path / to)
        assert f"leads to {tmp_path}/{to}, {what}" in refused(job(tmp_path, a=stack))
        (stack / "c").unlink()


def test_an_input_that_is_a_link_to_what_is_private_is_refused_and_one_that_names_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "homes" / "me"
    monkeypatch.setenv("HOME", str(home))
    cache, keys = put(home / ".cache" / "set" / "a.tif").parent, put(home / ".ssh" / "id_rsa").parent
    (tmp_path / "direct").symlink_to(keys)
    (tmp_path / "whole").symlink_to(home)
    (tmp_path / "elsewhere").symlink_to(home.parent)
    (tmp_path / "hosts").symlink_to("/etc")
    assert "direct leads to" in refused(job(tmp_path, a=tmp_path / "direct"))
    assert "direct/id_rsa leads to" in refused(job(tmp_path, a=tmp_path / "direct" / "id_rsa"))
    assert "whole leads to" in refused(job(tmp_path, a=tmp_path / "whole"))
    assert "hosts leads to /etc, a part of the system" in refused(job(tmp_path, a=tmp_path / "hosts"))
    for meant in (cache, keys, home, tmp_path / "elsewhere" / "me" / ".cache" / "set"):
        assert seen(job(tmp_path, a=meant)) == same(meant)


def test_the_links_of_an_input_are_looked_at_once_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = linked(tmp_path)
    first = viewed(job(tmp_path, a=stack))
    monkeypatch.setattr(links, "targets", None)
    assert mounts.readable(job(tmp_path, a=stack, b=stack)).mounts == first.mounts


def virtual(path: Path, *names: str) -> Path:
    """An HDF5 file that takes its data from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((len(names), 3), np.uint8)
        for number, name in enumerate(names):
            layout[number] = h5py.VirtualSource(name, "raw", (3,))
        file.create_virtual_dataset("raw", layout)
    return path


def test_the_files_that_an_hdf5_file_takes_data_from_are_seen(tmp_path: Path) -> None:
    file = virtual(tmp_path / "data" / "a.h5", "b.h5", "../far/c.h5", str(tmp_path / "d.h5"), "missing.h5")
    parts = [put(path) for path in (tmp_path / "data" / "b.h5", tmp_path / "far" / "c.h5", tmp_path / "d.h5")]
    view = viewed(job(tmp_path, a=f"{file}:raw"))
    assert view.mounts.keys() == {file, *parts}
    assert all(inside.samefile(outside) for inside, outside in view.mounts.items())
    assert view.remarks == [
        "step one: input a takes data from files in other folders, which the step can read: "
        f"{tmp_path}/d.h5, {tmp_path}/far/c.h5"
    ]
    assert viewed(job(tmp_path, a=virtual(tmp_path / "data" / "only.h5", "b.h5"))).remarks == []


def test_the_other_files_are_found_where_a_link_to_the_first_leads(tmp_path: Path) -> None:
    """Inside there is no link: HDF5 looks for them beside the file, where it was named."""
    virtual(tmp_path / "real" / "a.h5", "b.h5")
    part = put(tmp_path / "real" / "b.h5")
    (tmp_path / "named").symlink_to("real")
    found = seen(job(tmp_path, a=tmp_path / "named" / "a.h5"))
    assert found[tmp_path / "named" / "b.h5"].samefile(part)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.h5").symlink_to("../real/a.h5")
    found = seen(job(tmp_path, a=tmp_path / "other" / "x.h5"))
    assert found[tmp_path / "other" / "b.h5"].samefile(part)


def test_external_storage_in_a_private_or_system_file_is_refused(tmp_path: Path) -> None:
    key = put(tmp_path / "me" / ".ssh" / "id_rsa")
    (tmp_path / "to-system").symlink_to("/etc/hostname")
    (tmp_path / "to-key").symlink_to(key)
    system, private = "a file of the system", f"{key}, which is part of .ssh"
    for name, what in (
        (str(key), private),
        ("to-key", private),
        ("/etc/passwd", f"/etc/passwd, {system}"),
        ("to-system", f"{tmp_path}/to-system, {system}"),
    ):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("raw", (1, 1), np.uint8, external=[(name, 0, 1)])
        with pytest.raises(UserError, match=f"a.h5 takes data from {what}"):
            viewed(job(tmp_path, a=tmp_path / "a.h5"))
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file["own"] = [1]
        assert seen(job(tmp_path, a=f"{tmp_path}/a.h5:own")) == same(tmp_path / "a.h5")


def test_files_that_an_output_of_a_step_takes_data_from_are_not_seen(tmp_path: Path) -> None:
    made = virtual(tmp_path / "runs" / "former" / "volume.h5", str(put(tmp_path / "mine.h5")))
    assert seen(job(tmp_path, a=made)) == same(made)


def test_many_parts_of_an_hdf5_file_have_their_folder_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOST", 2)
    parts = [put(tmp_path / "data" / "parts" / f"{n}.h5") for n in range(3)]
    file = virtual(tmp_path / "data" / "a.h5", *(str(part) for part in parts))
    view = viewed(job(tmp_path, a=file))
    assert view.mounts == same(file, tmp_path / "data" / "parts")
    assert view.remarks == [
        f"step one: input a takes data from 3 files; the step can read all of {tmp_path}/data/parts",
    ]


def test_hidden_files_are_no_data(tmp_path: Path) -> None:
    """Such as an editor's locks, and the links of a virtual environment."""
    stack = put(tmp_path / "stack" / "a.png").parent
    (stack / ".lock").symlink_to(put(tmp_path / ".ssh" / "id"))
    put(stack / ".venv" / "x")
    (stack / ".venv" / "lib").symlink_to(put(tmp_path / "far" / "x"))
    assert seen(job(tmp_path, a=stack)) == same(stack)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    stack = put(tmp_path / "stack" / "a.png").parent
    (stack / "x").symlink_to("y")
    (stack / "y").symlink_to("x")
    (stack / "self").symlink_to("self")
    (stack / "up").symlink_to("..")
    assert seen(job(tmp_path, a=stack)) == same(stack, tmp_path)


def test_a_relative_link_in_a_folder_that_is_itself_reached_through_a_link(tmp_path: Path) -> None:
    """Outside, `pool/../far` is where the folder really is; inside, where the input is said to be."""
    put(tmp_path / "real" / "far" / "a.png")
    stack = tmp_path / "real" / "stack"
    stack.mkdir()
    (stack / "a.png").symlink_to("../far/a.png")
    named = tmp_path / "work" / "stack"
    named.parent.mkdir()
    named.symlink_to(stack)
    found = seen(job(tmp_path, a=named))
    assert found == {named: named, tmp_path / "work" / "far" / "a.png": tmp_path / "real" / "far" / "a.png"}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/usr",
            "/tmp",
            "/proc",
            "/usr/local/lib",
            "/usr/local/lib/floodrunner/stages",
            "/etc",
            "/dev/shm",
            "/run",
        ),
        *("/usr/lib/x86_64-linux-gnu", "/usr/share/doc/data", "/etc/ssl/certs", "/lib64/x", "/dev/disk", "/var/lib"),
    ],
)
def test_what_would_hide_a_part_of_the_image_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError) as caught:
        seen(job(tmp_path, images=path))
    assert str(caught.value) == (
        f"step one: input images {path}: mounting it would hide a system folder of the container; move the data to a "
        "separate folder, or use --engine local"
    )


def test_links_to_parts_of_the_system_are_passed_over(tmp_path: Path) -> None:
    """As a virtual environment has them: nothing that a stage reads is there. What lies beside them is still seen."""
    stack = put(tmp_path / "stack" / "a.png").parent
    for name, to in (("hosts", "/etc/hosts"), ("python", "/usr/bin/env"), ("deep", "/usr/lib/os-release"), ("r", "/")):
        assert os.path.exists(to)
        (stack / name).symlink_to(to)
    (stack / "far").symlink_to(put(tmp_path / "far" / "b.png"))
    assert seen(job(tmp_path, images=stack)) == same(stack, tmp_path / "far" / "b.png")


def test_a_link_to_a_part_of_the_system_over_other_links_is_not_followed(tmp_path: Path) -> None:
    """In a container without them such a link leads nowhere, as the stage says."""
    stack, other = put(tmp_path / "stack" / "a.png").parent, tmp_path / "other"
    other.mkdir()
    (other / "l1").symlink_to("/etc/hosts")
    (other / "dl").symlink_to("/etc")
    for name, to in (("b", other / "l1"), ("c", other / "dl" / "hosts"), ("d", other / "dl")):
        (stack / name).symlink_to(to)
    assert seen(job(tmp_path, images=stack)) == same(stack)


@pytest.mark.parametrize(("to", "what"), [("/tmp", "which the whole system uses"), ("/run", "part of /run")])
def test_a_link_to_a_folder_that_the_whole_system_uses_is_refused(tmp_path: Path, to: str, what: str) -> None:
    stack = put(tmp_path / "stack" / "a.png").parent
    (stack / "b").symlink_to(to)
    assert what in refused(job(tmp_path, images=stack))


def test_links_in_what_a_step_has_made_are_not_followed(tmp_path: Path) -> None:
    """A step that could have its successor see any folder of the user's would not be shut in."""
    secret = put(tmp_path / "home" / "letters" / "x")
    made = put(tmp_path / "runs" / "former" / "stack" / "a.png").parent
    brought = put(tmp_path / "runs2" / "stack" / "a.png").parent
    for folder in (made, brought):
        (folder / "b.png").symlink_to(secret)
    assert seen(job(tmp_path, images=made)) == same(made)
    assert seen(job(tmp_path, images=brought)) == same(brought, secret)
    whole = tmp_path / "runs"
    assert seen(job(tmp_path, images=whole)) == same(whole, secret)


def test_a_link_in_the_place_of_what_a_step_has_made_is_refused(tmp_path: Path) -> None:
    """The engine itself would follow it. A step's folder that its user has moved to another disk is none."""
    secret = put(tmp_path / "home" / "secret")
    made = tmp_path / "runs" / "former" / "text.json"
    made.parent.mkdir(parents=True)
    made.symlink_to(secret)
    with pytest.raises(UserError) as caught:
        seen(job(tmp_path, text=made))
    assert str(caught.value) == (
        f"step one: input text {made}: the step that wrote it made a link that leads out of its folder, and such "
        "links are not followed; remove the link, and correct the stage of that step"
    )
    (tmp_path / "runs" / "moved").symlink_to(put(tmp_path / "disk" / "moved" / "text.json").parent)
    moved = tmp_path / "runs" / "moved" / "text.json"
    assert seen(job(tmp_path, text=moved)) == same(moved)
    own = put(tmp_path / "runs" / "former" / "b.json")
    (own.parent / "c.json").symlink_to("b.json")
    assert seen(job(tmp_path, text=own.parent / "c.json")) == same(own.parent / "c.json")


@pytest.mark.parametrize("folder", ["/usr/share", "/usr/share/runs/one", "/tmp"])
def test_a_run_folder_that_is_a_system_folder_is_refused(folder: str) -> None:
    with pytest.raises(UserError, match=f"step one: its folder {folder}: mounting it would hide a system folder"):
        mounts.writable(Job("one", "look", {}, {}, {}, Path(folder), StepOptions(), "", ""))


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/data",
        "/data",
        "/mnt/c/data",
        "/usr2",
        "/var/tmp/of-a-user",
        "/tmp/of-a-user",
        "/dev/shm/of-a-user",
        "/run/media/disk",
    ],
)
def test_folders_of_users_are_not(tmp_path: Path, path: str) -> None:
    assert seen(job(tmp_path, a=path)) == same(Path(path))
