"""Crashes, bugs, disks: one line that says where, what and what to do; the exit code; nothing lost."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floodrunner.contract.disk import disk_trouble
from floodrunner.runner import cli
from floodrunner.runner.workdir.files import read_json, write_json

if TYPE_CHECKING:
    from conftest import Ended, House

LOG = "runs/demo/x/log.txt"


def breaking(house: House, how: str) -> str:
    return house.pipeline(f"name: demo\nsteps: {{x: {{stage: breaks, params: {{how: {how}}}}}}}\n")


def run_breaking(house: House, how: str, **options: Any) -> Ended:
    breaking(house, how)
    return house.run(**options)


@pytest.mark.parametrize(
    ("how", "code", "error"),
    [
        ("exit", 1, f"step x: crashed with exit code 5: about to break; its output is in {LOG}"),
        ("kill", 1, f"step x: crashed: killed by SIGKILL (often: out of memory); its output is in {LOG}"),
        ("term", 130, "step x: stopped by a signal from outside; run again to continue"),
        ("bug", 3, f"step x: a bug in stage breaks: KeyError: 'lost'; the full traceback is in {LOG}"),
        ("input", 2, "step x: section 3: is a text; remove it, or --force x"),
        ("fail", 1, f"step x: the network diverged; lower the learning rate; its output is in {LOG}"),
        (
            "no-output",
            3,
            "step x: a bug in stage breaks: RuntimeError: stage breaks returned without writing nothing; "
            f"the full traceback is in {LOG}",
        ),
        (
            "clash",
            3,
            "step x: a bug in stage breaks: the stage wrote log.txt, a name that the runner uses",
        ),
    ],
)
def test_how_a_stage_can_end(house: House, how: str, code: int, error: str) -> None:
    dies = how in ("exit", "kill", "term", "bug")  # of a process: its exit code, and what a bug prints
    ended = house("run", breaking(house, how)) if dies else run_breaking(house, how)
    assert (ended.code, ended.error) == (code, error)
    assert "about to break" in (house.work / LOG).read_text()
    assert not (house.work / "runs/demo/x/step.json").exists()
    assert not (house.work / "runs/demo/x/partial").exists()
    assert "x: stopped after" in ended.out if code == 130 else "x: failed after" in ended.out


def test_links_that_a_step_puts_in_its_folder_lead_the_runner_nowhere(house: House, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "nothing.json").write_text("mine")
    breaking(house, "not")
    stage = house.code / "stages" / "breaks.py"
    ends = stage.read_text()
    stage.write_text(
        ends + "    import shutil\n    shutil.rmtree(context.output_folder)\n"
        f"    context.output_folder.symlink_to({str(outside)!r})\n"
    )
    ended = house.run()
    assert ended.code == 3
    assert ended.error.startswith("step x: a bug in stage breaks: the stage replaced partial by a link")
    assert (outside / "nothing.json").read_text() == "mine"
    stage.write_text(ends)
    for name in ("log.txt", "events.jsonl"):
        ours = house.work / "runs" / "demo" / "x" / name
        ours.unlink()
        ours.symlink_to(outside / "nothing.json")
        ended = house("run", "p.yaml", "--force", "x")
        assert ended.code == 2
        assert ended.error == f"{ours}: is a link, not a file that Floodrunner made; remove the link and run again"
        assert (outside / "nothing.json").read_text() == "mine"
        ours.unlink()
    assert house.run().code == 0


@pytest.mark.parametrize("folder", ["STEP", "STEP2"])
def test_a_path_in_a_message_is_the_path(demo: House, folder: str) -> None:
    """STEP used to stand for the step's id in messages, wherever it occurred."""
    (demo.work / "texts").rename(demo.work / folder)
    (demo.work / folder / "x.bad").touch()
    ended = demo.run(inputs=[f"texts={folder}"])
    assert (ended.code, ended.error) == (2, f"step one: {demo.work}/{folder}: holds a .bad file; remove it")
    (demo.work / folder / "x.bad").unlink()
    stage = demo.code / "stages/copy_text.py"
    stage.write_text(stage.read_text().replace('context.message("copied")', 'context.message(f"copied {source}")'))
    assert f"one: copied {demo.work}/{folder}" in demo.run(inputs=[f"texts={folder}"]).out.splitlines()


def test_a_crash_whose_log_is_gone(house: House) -> None:
    breaking(house, "exit")
    stage = house.code / "stages" / "breaks.py"
    text = stage.read_text()
    stage.write_text(
        text.replace("import os", "import os, pathlib", 1).replace(
            "os._exit(5)", "(pathlib.Path(context.state).parent / 'log.txt').unlink(); os._exit(5)"
        )
    )
    assert stage.read_text() != text
    ended = house("run", "p.yaml")
    assert (ended.code, ended.error.split("; ")[0]) == (1, "step x: crashed with exit code 5: no output")


def test_the_routine_of_a_library_is_not_the_reason_of_a_crash(house: House) -> None:
    breaking(house, "exit")
    stage = house.code / "stages" / "breaks.py"
    routine = "I0000 00:00:1795852340.248071   23654 port.cc:153] oneDNN custom operations are on."
    stage.write_text(stage.read_text().replace("os._exit(5)", f"print({routine!r}, flush=True); os._exit(5)"))
    assert house("run", "p.yaml").error.startswith("step x: crashed with exit code 5: about to break; ")
    assert routine in (house.work / LOG).read_text()


def test_after_a_failure(house: House) -> None:
    run_breaking(house, "fail")
    status = house("status")
    assert status.code == 0
    assert "  x  failed 20" in status.out
    assert f"the network diverged; lower the learning rate; its output is in {LOG}" in status.out
    ended = run_breaking(house, "not")
    assert ended.code == 0
    assert "x: runs (not finished last time)" in ended.out
    assert "  x  done 20" in house("status").out


def test_a_traceback_of_a_bug_is_in_the_log(house: House) -> None:
    run_breaking(house, "bug")
    log = (house.work / LOG).read_text()
    assert "Traceback (most recent call last)" in log
    assert "KeyError: 'lost'" in log


def test_a_stage_whose_helper_is_broken(house: House) -> None:
    (house.code / "segmentation/helper.py").write_text("def (")
    (house.work / "in.json").write_text("x")
    house.pipeline("name: demo\ninputs: {a: {path: in.json}}\nsteps: {x: {stage: copy-text, in: {source: inputs.a}}}\n")
    ended = house.run()
    assert ended.code == 3
    assert ended.error.startswith("step x: a bug in stage copy-text: SyntaxError: ")


def test_a_file_in_the_way_of_the_run_folder(house: House) -> None:
    (house.work / "runs").write_text("x")
    ended = run_breaking(house, "not")
    assert ended.code == 2
    assert ended.error == (
        f"{house.work}/runs/demo: not a directory; a file is in the way; move the file, or choose another run folder with --workdir"
    )


def test_a_file_in_the_way_of_a_step(house: House) -> None:
    assert run_breaking(house, "not").code == 0
    shutil.rmtree(house.work / "runs/demo/x")
    (house.work / "runs/demo/x").write_text("x")
    ended = house.run()
    assert ended.code == 2
    assert "runs/demo/x" in ended.error
    assert "a file is in the way; move the file, or choose another run folder with --workdir" in ended.error


@pytest.fixture
def small_disk(house: House) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = house.work / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs the right to mount a small disk (root)")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_folder_that_may_not_be_written(house: House, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ended = run_breaking(house, "not", workdir="small/run")
    assert ended.code == 2
    assert ended.error == f"{small_disk}/run: read-only file system; choose another run folder with --workdir"


def test_a_disk_that_gets_full_while_a_stage_writes(house: House, small_disk: Path) -> None:
    house.pipeline("name: demo\nsteps: {x: {stage: fill-disk}, y: {stage: fill-disk, params: {megabytes: 30}}}\n")
    ended = house.run(workdir="small/run")
    assert ended.code == 2
    assert "no space left on device; free some space and run again: finished steps are kept" in ended.error
    assert "\n" not in ended.error
    assert (small_disk / "run/x/much.json").stat().st_size == 1_000_000
    ended = house.run("y.megabytes=1", workdir="small/run")
    assert ended.code == 0, ended.err
    assert "x: skipped (nothing changed)" in ended.out


def test_a_disk_that_is_full_already(house: House, small_disk: Path) -> None:
    house.pipeline("name: demo\nsteps: {x: {stage: fill-disk}}\n")
    assert house.run(workdir="small/run").code == 0
    before = (small_disk / "run/run.json").read_bytes()
    (small_disk / "rest").touch()
    with pytest.raises(OSError, match="No space left"):
        shutil.copyfile("/dev/zero", small_disk / "rest")
    ended = house.run(workdir="small/run", force=["x"])
    assert ended.code == 2
    assert "no space left on device; free some space and run again: finished steps are kept" in ended.error
    assert (small_disk / "run/run.json").read_bytes() == before  # whole, not half
    (small_disk / "rest").unlink()
    assert house.run(workdir="small/run").code == 0


def test_a_disk_that_gets_full_while_a_result_is_published(house: House, small_disk: Path) -> None:
    """The stage is done, its record finds no room: neither the step nor the run counts as done."""
    stage = house.code / "stages/fill_disk.py"
    rest = """
    try:
        with open(context.output_folder / "rest", "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
    except OSError:
        pass
    with open(context.output_folder / "rest", "r+b") as file:  # room for the closing event, not for a record
        file.truncate(file.seek(0, 2) - 4096)
"""
    house.pipeline("name: demo\nsteps: {x: {stage: fill-disk}}\n")
    assert house.run(workdir="small/run").code == 0
    code = stage.read_text()
    stage.write_text(code + rest)
    ended = house.run(workdir="small/run")
    assert ended.code == 2
    assert "no space left on device; free some space and run again: finished steps are kept" in ended.error
    assert "x: failed after" in ended.out
    assert "x: done" not in ended.out
    step = read_json(small_disk / "run/run.json")["steps"]["x"]  # type: ignore[index]
    assert step["status"] == "bad-input"
    assert step["message"] in ended.error  # the same words
    status = house("status", "small/run")
    assert status.code == 0
    assert "  x  failed 20" in status.out
    assert not (small_disk / "run/x/rest").exists()
    stage.write_text(code)
    assert "x  skip     nothing changed" in house("plan", "p.yaml", "--workdir", "small/run").out  # what was, stands


@pytest.mark.parametrize("how", ["not", "input", "bug"])
def test_a_stage_that_cannot_report_because_the_disk_is_full(house: House, how: str) -> None:
    folder = house.work / "x"
    folder.mkdir()
    job = {
        "step": "x",
        "stage": "breaks",
        "params": {"how": how},
        "inputs": {},
        "outputs": {"nothing": str(folder / "partial/nothing.json")},
        "state": str(folder / "state"),
    }
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "events.jsonl").symlink_to("/dev/full")
    _, environment = house.command()
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "floodrunner.stages", folder],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == {"not": 2, "input": 2, "bug": 3}[how]
    assert (
        ended.stderr.splitlines()[-1]
        == {
            "not": f"{folder}: no space left on device; free some space and run again: finished steps are kept",
            "input": "section 3: is a text; remove it, or --force x",
            "bug": "KeyError: 'lost'",
        }[how]
    )
    assert ("Traceback" in ended.stderr) is (how == "bug")


def test_a_run_folder_that_is_removed_meanwhile(house: House) -> None:
    stage = house.code / "stages/breaks.py"
    remove = '    __import__("shutil").rmtree(context.output_folder.parent.parent)\n'
    stage.write_text(stage.read_text().replace('    if params.how == "exit":', remove + '    if params.how == "exit":'))
    ended = run_breaking(house, "not")
    assert ended.code == 2
    assert ended.error.endswith(
        "no such file or directory; the folder that held this file was removed or renamed during the run; run again"
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "x", "/in/a.png"), "/in/a.png: permission denied; give this user permission to use this path, or choose another run folder with --workdir"),
        (OSError("Can't write (file write failed: errno = 28, error message = 'x')"), "/out: no space left on device; free some space and run again: finished steps are kept"),
        (FileNotFoundError(2, "x", "/nowhere/at/all"), "/nowhere/at/all: no such file or directory; the folder that held this file was removed or renamed during the run; run again"),
        (FileNotFoundError(2, "x", "/etc/no-such-file"), None),  # its folder is there: who looks for it is wrong
        (OSError("strange"), None),
    ],
)  # fmt: skip
def test_troubles_with_disks_in_words(error: OSError, text: str | None) -> None:
    assert disk_trouble(error, "/out") == text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("x")])
def test_a_record_that_was_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(type(error)):
        write_json(tmp_path / "run.json", {})
    assert os.listdir(tmp_path) == []


def test_what_a_killed_runner_left_half_written_is_swept(house: House) -> None:
    """kill -9 while the first hashes were saved: there is no run.json yet, and the folder is ours all the same."""
    folder = house.work / "runs/demo"
    folder.mkdir(parents=True)
    for leftover in ("..hashes.json.123", ".run.json.123", "x/.step.json.123"):
        (folder / leftover).write_text("{")
        ended = run_breaking(house, "not", force=["x"])
        assert (ended.code, ended.err) == (0, "")
        assert not (folder / leftover).exists()


def test_a_record_is_whole_or_the_one_before(small_disk: Path) -> None:
    file = small_disk / "run.json"
    write_json(file, {"a": 1})
    with pytest.raises(OSError, match="No space left") as error:
        write_json(file, {"a": "x" * 5_000_000})
    assert error.value.filename == str(file)
    assert read_json(file) == {"a": 1}
    assert os.listdir(small_disk) == ["run.json"]


def test_a_folder_of_another_user(house: House) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (house.work / "runs").mkdir(mode=0o500)
    ended = run_breaking(house, "not")
    assert ended.code == 2
    assert ended.error.endswith(
        "permission denied; give this user permission to use this path, or choose another run folder with --workdir"
    )


def test_an_input_that_cannot_be_read(house: House) -> None:
    (house.work / "in").mkdir()
    (house.work / "in" / "a.txt").symlink_to("nowhere")
    house.pipeline("name: demo\ninputs: {a: {path: in}}\nsteps: {x: {stage: copy-text, in: {source: inputs.a}}}\n")
    ended = house.run()
    assert ended.code == 2
    assert ended.error == f"{house.work}/in/a.txt: cannot be read: no such file or directory; correct or remove it"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["rn"], "No such command 'rn'."),
        (["run"], "Missing argument 'PIPELINE'."),
        (["run", "p.yaml", "--workdr", "x"], "No such option '--workdr'."),
        (
            ["run", "p.yaml", "--engine", "podman"],
            "--engine podman: unknown engine; choose one of auto, docker, local",
        ),
        (["plan", "none.yaml"], "none.yaml: no such file; floodrunner pipelines lists the"),
    ],
)
def test_wrong_commands(house: House, arguments: list[str], error: str) -> None:
    breaking(house, "not")
    ended = house(*arguments)
    assert ended.code == 2
    assert ended.error.startswith(error)


def test_a_bug_of_ours_is_one_line_and_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyError("lost")

    assert cli.reported(command) == 3
    error = capsys.readouterr().err.rstrip("\n")
    assert error.startswith("floodrunner: a bug in Floodrunner: KeyError: 'lost'; please report it with ")
    log = Path(error.rsplit(" ", 1)[1])
    assert "Traceback" in log.read_text()
    log.unlink()


@pytest.mark.parametrize("damage", ["lost", "cut off"])
def test_steps_outlive_a_lost_run_json(done: House, damage: str) -> None:
    run = done.work / "runs/demo/run.json"
    run.unlink() if damage == "lost" else run.write_text("{")
    again = done.run()
    assert again.code == 0
    assert again.out.count("skipped (nothing changed)") == 3
    assert json.loads(run.read_text())["steps"]


def test_a_run_folder_where_none_can_be_made(demo: House) -> None:
    ended = demo.run(workdir="/proc/x")
    assert (ended.code, ended.error) == (
        2,
        "/proc/x: this folder cannot be made; choose another run folder with --workdir",
    )
