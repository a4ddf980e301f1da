"""What a step leaves in its folder: links, pipes, forged records, floods. Nothing of the user's is shown or touched."""

from __future__ import annotations

import contextlib
import io
import json
import os
import textwrap
from pathlib import Path

import pytest

from floodrunner.runner import cli
from floodrunner.runner.engines.base import Exit, Job
from floodrunner.runner.execution.verdict import judge
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.workdir.lock import lock
from floodrunner.runner.workdir.progress import Progress
from tests.runner.conftest import Ended, House

SECRET = "root:secret:19000"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that a step in a container cannot read, but that the runner can."""
    folder = tmp_path / "home" / "private"
    folder.mkdir(parents=True)
    (folder / "shadow").write_text(f"{SECRET}\n")
    return folder / "shadow"


def command(house: House, *arguments: str) -> Ended:
    """A command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(house.work), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.reported(lambda: cli.cli.main(arguments, standalone_mode=False))
    return Ended(code, out.getvalue(), err.getvalue())


def leaving(house: House, code: str) -> House:
    """A pipeline with one step, whose stage ends with this code; `folder` is the step's folder."""
    stage = house.code / "stages" / "breaks.py"
    start = (
        stage.read_text()
        .split('    if params.how == "clash"')[0]
        .replace("import signal", "import json, shutil, signal", 1)
    )
    body = f"folder = context.state.parent\n{textwrap.dedent(code)}"
    stage.write_text(start + textwrap.indent(body, "    "))
    house.pipeline("name: demo\nsteps: {x: {stage: breaks}}\n")
    return house


def quiet(ended: Ended) -> Ended:
    """A run that shows nothing of the secret, and no control characters."""
    for text in (ended.out, ended.err):
        assert SECRET not in text
        assert not {character for character in text if not character.isprintable()} - {"\n"}
    return ended


@pytest.mark.parametrize("link", [True, False])
def test_the_log_in_a_message_is_not_read_through_a_link(house: House, secret: Path, link: bool) -> None:
    put = f"os.symlink({str(secret)!r}, folder / 'log.txt')" if link else "os.mkfifo(folder / 'log.txt')"
    leaving(house, f"os.remove(folder / 'log.txt')\n{put}\nos._exit(2)")
    ended = quiet(house("run", "p.yaml"))
    kind = "link" if link else "named pipe"
    log = house.work / "runs/demo/x/log.txt"
    assert (ended.code, ended.error) == (
        2,
        f"step x: {log}: is a {kind}, not a file that Floodrunner made; remove the {kind} and run again",
    )
    quiet(command(house, "status"))
    ended = quiet(command(house, "logs", "x"))
    assert ended.code == 2
    assert f"is a {kind}, not a file" in ended.error


@pytest.mark.parametrize("link", [True, False])
def test_events_are_not_read_through_a_link_and_a_pipe_is_not_waited_for(
    house: House, secret: Path, link: bool
) -> None:
    put = f"os.symlink({str(secret)!r}, events)" if link else "os.mkfifo(events)"
    leaving(house, f"events = folder / 'events.jsonl'\nos.remove(events)\n{put}")
    ended = quiet(house.run())
    kind = "link" if link else "named pipe"
    assert ended.code == 2
    assert (
        f"events.jsonl: is a {kind}, not a file that Floodrunner made; remove the {kind} and run again" in ended.error
    )
    assert "  x  failed" in quiet(command(house, "status")).out


def test_status_while_a_step_runs_tells_what_is_in_the_place_of_its_events(house: House) -> None:
    leaving(house, "").run()
    folder = house.work / "runs/demo"
    report = json.loads((folder / "run.json").read_text())
    report["status"] = report["steps"]["x"]["status"] = "running"
    (folder / "run.json").write_text(json.dumps(report))
    (folder / "x/events.jsonl").unlink()
    os.mkfifo(folder / "x/events.jsonl")
    with lock(folder, "floodrunner run"):
        ended = command(house, "status")
    assert ended.code == 0, ended.err
    assert "  x  running, " in ended.out
    assert "is a named pipe" in ended.out


def test_names_in_a_forged_record_do_not_lead_out_of_the_folder(house: House, tmp_path: Path) -> None:
    """The runner removes the files of an earlier result by the names in its record."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").write_text("years of work")
    names = json.dumps({"names": [str(mine), "../../../../mine", "..", "old.txt", 3]})
    leaving(
        house,
        f"""
        for name in ("step.json", ".names.json"):
            (folder / name).write_text({names!r})
        (folder / "old.txt").write_text("of an earlier result")
        """,
    )
    ended = house.run()
    assert (ended.code, ended.err) == (0, "")
    assert (mine / "thesis").read_text() == "years of work"
    assert not (house.work / "runs/demo/x/old.txt").exists()
    record = json.loads((house.work / "runs/demo/x/step.json").read_text())
    record["names"] = ["../../../../mine"]
    (house.work / "runs/demo/x/step.json").write_text(json.dumps(record))
    assert house.run().code == 0
    assert command(house, "clean", "runs/demo", "--yes").code == 0
    assert (mine / "thesis").read_text() == "years of work"


def test_spent_state_is_not_removed_through_a_link(house: House, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").write_text("years of work")
    leaving(
        house,
        f"""
        shutil.rmtree(folder / "state")
        os.symlink({str(mine)!r}, folder / "state")
        context.emit("spent", path="thesis")
        """,
    )
    ended = house.run()
    assert ended.code == 3
    assert "the stage replaced state by a link" in ended.error
    assert (mine / "thesis").read_text() == "years of work"


@pytest.mark.parametrize("kind", ["link", "named pipe"])
def test_an_output_that_is_no_plain_file_is_refused(house: House, secret: Path, kind: str) -> None:
    put = f"os.symlink({str(secret)!r}, extra)" if kind == "link" else "os.mkfifo(extra)"
    leaving(house, f"extra = context.output_folder / 'extra'\n{put}")
    ended = quiet(house.run())
    assert ended.code == 3
    assert ended.error.startswith(
        f"step x: a bug in stage breaks: the stage wrote extra, a {kind}; only files and folders can be published"
    )
    assert secret.read_text() == f"{SECRET}\n"


@pytest.mark.parametrize(
    "instead", ["", "open(context.output_folder, 'w').close()", "os.mkfifo(context.output_folder)"]
)
def test_a_folder_of_outputs_that_is_gone_is_one_line(house: House, instead: str) -> None:
    leaving(house, f"shutil.rmtree(context.output_folder)\n{instead}")
    stage = house.code / "stages" / "breaks.py"
    stage.write_text(f"{stage.read_text()}\n    context.outputs.clear()\n")  # the stage does not look at them
    ended = house.run()
    assert ended.code == 3
    assert ended.error.startswith("step x: a bug in stage breaks: the stage removed partial, the folder of its outputs")


@pytest.mark.parametrize("name", ["log.txt", "events.jsonl", "job.json", "state"])
def test_what_is_in_the_way_of_a_file_is_one_line(house: House, name: str) -> None:
    """A stage has put a folder in the place of a file, or a file in that of a folder. `clean` removes either."""
    put = "path.touch()" if name == "state" else "path.mkdir()"
    leaving(
        house,
        f"""
        path = folder / {name!r}
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        {put}
        raise StageError("enough")
        """,
    )
    house.run()
    ended = house.run()
    assert ended.code == 2
    assert f"runs/demo/x/{name}: " in ended.error
    assert "in the way; move the f" in ended.error
    said = command(house, "status").out
    assert "[Errno" not in said
    assert (ended.error in said) is (name != "state")  # which is seen before the step begins
    assert command(house, "clean", "runs/demo", "--yes", "--state").code == 0
    assert not (house.work / "runs/demo").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("step.json", "folder"), ("step.json", "locked"), ("step.json", "pipe"), (".names.json", "locked")],
)
def test_what_is_in_the_place_of_a_record_concerns_its_step_alone(house: House, name: str, kind: str) -> None:
    put = {"folder": "path.mkdir()", "locked": "path.touch(mode=0)", "pipe": "os.mkfifo(path)"}[kind]
    leaving(house, f"path = folder / {name!r}\n{put}\nraise StageError('enough')")
    stage = house.code / "stages" / "breaks.py"
    house.pipeline("name: demo\nsteps: {y: {stage: slow}, x: {stage: breaks}}\n")
    assert house.run().code == 1
    ended = command(house, "status")
    assert ended.code == 0, ended.err
    assert "  y  done " in ended.out
    stage.write_text(stage.read_text().split("    folder = context.state.parent")[0])
    ended = house.run()
    assert (ended.code, ended.err) == (0, "")
    assert "y: skipped" in ended.out
    assert house.run().out.count("skipped (nothing changed)") == 2


def test_of_very_many_metrics_and_files_some_are_shown(house: House) -> None:
    leaving(
        house,
        """
        (context.output_folder / "picture.png").write_text("x")
        for n in range(1000):
            context.emit("artifact", path="picture.png", title="t" * 3000)
            context.metric(f"{n}" + "m" * 3000, n)
            context.emit("artifact", path="picture.png", title=["t" * 3000])
        context.emit("message", text=["A" * 1_000_000])
        context.emit("progress", done=1, total=2, unit=["A" * 1_000_000])
        """,
    )
    ended = house.run()
    assert ended.code == 0, ended.err
    assert len(ended.out) < 2000
    shown = command(house, "status").out
    assert len(shown) < 12_000
    assert shown.count("picture.png") == 20
    assert shown.endswith("  and 980 more of x\n")
    assert ", and 980 more\n" in shown


def test_a_step_that_makes_its_events_huge_can_run_again(house: House) -> None:
    leaving(house, "os.truncate(folder / 'events.jsonl', 4 << 40)\nos._exit(1)")
    for _ in range(2):
        assert house("run", "p.yaml").code == 1
    assert command(house, "status").code == 0


def test_a_lock_that_does_not_say_who_holds_it(done: House) -> None:
    folder = done.work / "runs/demo"
    with lock(folder, "floodrunner run"):
        said = json.loads((folder / ".lock").read_text())
        for wrong in ({name: said[name] for name in said if name != "pid"}, {**said, "pid": "3"}, {**said, "host": 3}):
            (folder / ".lock").write_text(json.dumps(wrong))
            ended = command(done, "status")
            assert (ended.code, ended.out.splitlines()[0]) == (0, "demo in runs/demo: running")


@pytest.mark.parametrize("name", ["b'a\\xff'", "b'\\xe4\\xf6.png'"])
def test_a_name_that_is_not_utf8_is_shown_with_its_bytes(house: House, name: str) -> None:
    leaving(house, f"open(os.path.join(os.fsencode(context.output_folder), {name}), 'w').close()")
    ended = house.run()
    shown = name[2:-1]
    assert (ended.code, ended.error) == (
        3,
        f"step x: a bug in stage breaks: the stage wrote {shown}, a name with characters that are not text",
    )


def test_artifacts_outside_of_the_folder_are_not_shown(house: House, secret: Path) -> None:
    leaving(
        house,
        f"""
        (context.output_folder / "picture.png").write_text("x")
        (context.state / "log").write_text("x")
        os.symlink({str(secret)!r}, context.state / "linked")
        outside = [{str(secret)!r}, "../../../../home", "..", "../../x/../../y", "a\\0b", "\\ud800", "../state/linked"]
        for path in [*outside, "picture.png", "../state/log", "a\\x1b[2J", ""]:
            context.emit("artifact", path=path, title="\\x1b[31ma picture")
        """,
    )
    assert house.run().code == 0
    ended = quiet(command(house, "status"))
    shown = ended.out.split("Look at:\n")[1].splitlines()
    titled = "  (\\x1b[31ma picture)"
    assert shown[:2] == [f"  runs/demo/x/picture.png{titled}", f"  runs/demo/x/state/log{titled}"]
    assert not any("home" in line or "linked" in line or line.startswith("  /") for line in shown)


def test_control_characters_of_a_stage_do_not_reach_the_terminal(house: House) -> None:
    leaving(
        house,
        """
        context.message("\\x1b]0;mine\\x07\\x1b[2J\\rdone \\u202egnp.exe")
        context.metric("a\\x1b[1mb", 3.0)
        print("loading\\rhalf\\rall \\x1b[32mgreen\\x9b \\u2066x", flush=True)
        """,
    )
    ended = quiet(house.run())
    assert ended.code == 0, ended.err
    assert "x: \\x1b]0;mine\\x07\\x1b[2J done \\u202egnp.exe" in ended.out
    assert "a\\x1b[1mb 3" in quiet(command(house, "status")).out
    log = quiet(command(house, "logs", "x")).out
    assert "loading\nhalf\nall \\x1b[32mgreen\\x9b \\u2066x\n" in log


def test_a_flood_of_events_ends(house: House) -> None:
    leaving(
        house,
        """
        with open(folder / "events.jsonl", "a") as events:
            for _ in range(100):
                events.write('{"event": "message", "text": "again"}\\n' * 100)
            events.write("x" * 10_000_000)
            events.write("\\n" + "[" * 100_000 + "\\n")
            events.write('{"event": "metric", "name": [], "value": ' + "9" * 4000 + "}\\n")
        """,
    )
    ended = house.run()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("x: again") == 200
    assert "x: and 9800 more messages, which are in events.jsonl" in ended.out


def test_folders_full_of_junk_are_cleaned(house: House) -> None:
    leaving(
        house,
        """
        for n in range(3000):
            (folder / f"junk{n}").touch()
        (folder / "\\x1b[2Jjunk").mkdir()
        os.mkfifo(folder / "pipe")
        os.symlink("/", folder / "state.1")
        (folder / "state" / "kept").touch()
        locked = folder / "locked"
        locked.mkdir()
        (locked / "file").touch()
        locked.chmod(0)
        """,
    )
    assert house.run().code == 0
    assert quiet(command(house, "status")).code == 0
    assert quiet(command(house, "clean", "runs/demo", "--yes")).code == 0
    assert os.listdir(house.work / "runs/demo/x") == ["state"]
    assert quiet(command(house, "clean", "runs/demo", "--yes", "--state")).code == 0
    assert not (house.work / "runs/demo").exists()
    assert os.path.isdir("/etc")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", {"../../x": {"status": "waiting"}}),
        ("steps", {"x": {}}),
        ("steps", {"x": {"status": "failed"}}),
        ("steps", {"x": 3}),
        ("pipeline", {}),
        ("pipeline", None),
        ("status", None),
        ("ended", None),
        ("ended", [3]),
    ],
)
def test_a_damaged_report_is_one_line(done: House, name: str, value: object) -> None:
    run = done.work / "runs/demo/run.json"
    run.write_text(json.dumps({**json.loads(run.read_text()), name: value}))
    for arguments in (["status"], ["logs", "x"], ["clean", "runs/demo", "--yes"]):
        ended = command(done, *arguments)
        assert ended.code == 2
        assert ended.error.startswith("runs/demo/run.json: is damaged (")
        assert ended.error.endswith("; remove this file and run again: finished steps are kept")


def test_damaged_times_are_shown_as_they_are(done: House) -> None:
    run = done.work / "runs/demo/run.json"
    run.write_text(json.dumps({**json.loads(run.read_text()), "ended": "yester\x1bday"}))
    ended = command(done, "status")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("demo in runs/demo: done yester\\x1bday\n")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("OpenBLAS blas_thread_init: pthread_create failed for thread 3", True),
        ("  what():  Resource temporarily unavailable", True),
        ("bash: fork: retry: Resource temporarily unavailable", True),
        ("RuntimeError: can't start new thread", True),
        ("something else", False),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", False),  # a file that somebody has locked
        ("unable to lock file, errno = 11, error message = 'Resource temporarily unavailable'", False),
        ("read: Resource temporarily unavailable", False),
    ],
)
def test_a_library_that_could_start_no_thread(house: House, line: str, hint: bool) -> None:
    """Libraries end the process then: nobody reports it but their line in the log."""
    verdict = judge(Exit(134, "killed by SIGABRT"), Progress(), False, log_of(house, f"{line}\nAborted\n"))
    text = "; no more processes or threads can be started; raise processes of the step (or ulimit -u)" if hint else ""
    assert verdict == (1, f"crashed: killed by SIGABRT{text}; its output is in {house.work}/x/log.txt")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("os.fork = again; os.fork()", 1),
        ("held = open(__file__); fcntl.flock(held, 2); fcntl.flock(open(__file__), 6)", 3),
        ("again()", 3),
    ],
)
def test_only_a_process_that_cannot_be_started_is_told_as_one(house: House, call: str, code: int) -> None:
    """A locked file or an empty pipe gives the same error: try again."""
    leaving(
        house,
        f"""
        import fcntl, functools
        again = functools.partial(os.read, os.pipe2(os.O_NONBLOCK)[0], 1)
        {call}
        """,
    )
    ended = house("run", "p.yaml")
    assert ended.code == code
    assert ("no more processes or threads can be started" in ended.error) is (code == 1)


@pytest.mark.parametrize("before", ["", "OpenBLAS: pthread_create failed\nFatal: of an earlier attempt\n"])
def test_only_the_lines_of_this_attempt_are_quoted(house: House, before: str) -> None:
    job = log_of(house, f"{before}--- 2026-11-28T06:00:00+00:00 floodrunner run p.yaml\n")
    assert judge(Exit(0, ""), Progress(), False, job) == (
        1,
        f"crashed with exit code 0: no output; its output is in {house.work}/x/log.txt",
    )


def log_of(house: House, text: str) -> Job:
    """A job whose stage has written this log."""
    folder = house.work / "x"
    folder.mkdir()
    (folder / "log.txt").write_text(text)
    return Job("x", "breaks", {}, {}, {}, folder, StepOptions(), "", "")


@pytest.mark.parametrize(
    "text", [pytest.param("[" * 100_000, id="deep"), '{"a": 3}', '{"a": []}', "[1]", '{"a": [1, 2, 3, 4, "x"]}']
)
def test_damaged_hashes_are_made_again(done: House, text: str) -> None:
    (done.work / "runs/demo/.hashes.json").write_text(text)
    ended = done.run()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("skipped (nothing changed)") == 3
