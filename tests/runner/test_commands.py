"""status, logs, clean, stages, doctor, plan: what they say."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import contextlib
import json
import os
import pty
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from floodrunner.runner import cli, doctor, machine
from floodrunner.runner.terminal import follow
from floodrunner.runner.workdir import records

if TYPE_CHECKING:
    from conftest import House


def test_help_names_the_commands(house: House) -> None:
    ended = house("--help")
    assert (ended.code, ended.err) == (0, "")
    for command in ("run", "plan", "stages", "status", "logs", "doctor", "clean"):
        assert f"  {command} " in ended.out
    assert "training continues from its" in house("run", "--help").out


def test_without_a_command_it_helps(house: House) -> None:
    ended = house()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == house("--help").out
    assert ended.out.count("\n") > 10


def test_plan(done: House) -> None:
    ended = done("plan", "p.yaml", "--set", "two.suffix=x", "--force", "one")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "demo in runs/demo, engine local (used before in this run folder)",
        "  one    run      --force, from scratch",
        '  two    run      parameter suffix: "!" -> "x"',
        "  three  may run  waits for two",
    ]
    assert not (done.work / "runs/demo/one/state.1").exists()


def test_what_runs_too_is_said_before(done: House) -> None:
    """`--set` does not last: without it the former training is not the one that --from means to go on with."""
    done.pipeline(done.written.replace('{suffix: "!"}', '{suffix: "?"}'))
    line = 'two runs too, before three: parameter suffix: "!" -> "?"'
    assert done("plan", "p.yaml", "--from", "three").out.splitlines()[-1] == line
    assert done("plan", "p.yaml", "--force", "three").out.splitlines()[-1] == line
    assert "runs too" not in done("plan", "p.yaml").out
    assert "runs too" not in done("plan", "p.yaml", "--from", "two").out
    ended = done.run(start="three")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[1:3] == [line, "one: skipped (nothing changed)"]
    assert "runs too" not in done.run(start="three").out


def test_status_and_how_a_run_is_named(done: House) -> None:
    by_default, by_folder, by_pipeline = (done("status", *a) for a in ([], ["runs/demo/"], ["p.yaml"]))
    assert by_default.out == by_folder.out == by_pipeline.out
    lines = by_default.out.splitlines()
    assert lines[0].startswith("demo in runs/demo: done 20")
    assert lines[1].startswith("  one    done 20")
    assert lines[4:] == [
        "Results:",
        "  one: length 11",
        "  two: length 11",
        "Look at:",
        "  runs/demo/one/picture.txt  (a picture of the text)",
        "  runs/demo/two/picture.txt  (a picture of the text)",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["status", "runs/deno"], "runs/deno: does not exist; name a run folder, such as runs/<pipeline name>; did you mean 'demo'?"),
        (["status", "texts"], "texts: is not a run folder; name a run folder, such as runs/<pipeline name>; choose 'demo'"),
        (["logs", "tow"], "runs/demo: there is no step 'tow'; did you mean 'two'?"),
        (["clean", "texts", "--yes"], "texts: is not a run folder; name a run folder"),
        (["clean", "runs/demo"], "runs/demo: cannot ask for confirmation without a terminal; add --yes to remove "),
        (["stages", "copy-txt"], "unknown stage 'copy-txt'; did you mean 'copy-text'?"),
    ],
)  # fmt: skip
def test_refused(done: House, arguments: list[str], error: str) -> None:
    before = sorted(done.work.rglob("*"))
    ended = done(*arguments)
    assert ended.code == 2
    assert ended.error.startswith(error)
    assert set(before) <= set(done.work.rglob("*"))


def test_a_value_with_spaces_that_is_not_in_quotes(done: House) -> None:
    ended = done("plan", "p.yaml", "--set", "two.box=[4", "4", "30]")
    assert (ended.code, ended.error) == (
        2,
        "4, 30]: not expected; write values without spaces, or in quotes: --set 'image.voxel_size_xyz=[4, 4, 30]'",
    )
    assert done("plan", "p.yaml", "x").error == "x: not expected"


def test_no_run_yet(house: House) -> None:
    ended = house("status")
    assert (ended.code, ended.error) == (
        2,
        "runs/: there is no run here; name a run folder, a pipeline file or a shipped pipeline",
    )


def test_logs(done: House) -> None:
    ended = done("logs", "two")
    assert ended.code == 0
    head, *rest = ended.out.splitlines()
    assert head.startswith("--- 20")
    assert head.endswith("floodrunner run p.yaml")
    assert rest == ["copied"]


def test_clean_keeps_training_state_unless_told(done: House) -> None:
    (done.work / "runs/demo/notes.txt").write_text("mine")
    (done.work / "runs/demo/my-folder").mkdir()
    ended = done("clean", "runs/demo", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "runs/demo: removed the results of its steps; saved state is kept in runs/demo; --state removes it\n"
    )
    left = {p.relative_to(done.work / "runs/demo").as_posix() for p in (done.work / "runs/demo").rglob("*")}
    assert left - {".lock", ".hashes.json"} == {
        "run.json", "three", "three/state", "three/state/count", "three/state/pid", "notes.txt", "my-folder"
    }  # fmt: skip
    done.pipeline("name: demo\nsteps: {three: {stage: slow}}\n", "q.yaml")
    assert done("plan", "q.yaml").out.splitlines()[1:] == [
        "  three  run      no result, continues from its state if data and settings are the same"
    ]
    assert done.run().code == 0
    assert "from 10\n" in (done.work / "runs/demo/three/log.txt").read_text()
    (done.work / "runs/demo/notes.txt").unlink()
    (done.work / "runs/demo/my-folder").rmdir()
    assert done("clean", "runs/demo", "--yes", "--state").code == 0
    assert not (done.work / "runs/demo").exists()


def test_clean_asks_and_an_answer_of_no_is_no_interruption(done: House) -> None:
    before = sorted(done.work.rglob("*"))
    command, environment = done.command("clean", "runs/demo")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(done.work)
        os.execvpe(command[0], command, environment)
    os.write(terminal, b"n\n")
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while block := os.read(terminal, 4096):
            shown += block
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert shown.endswith(b"runs/demo: nothing was removed\r\n")
    assert sorted(done.work.rglob("*")) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_only_a_run_has_something_to_go_on_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    def interrupted(workdir: Path) -> None:
        raise error

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert cli.reported(lambda: cli.cli.main(["doctor"], standalone_mode=False)) == 130
    assert capsys.readouterr().err.strip() == "floodrunner: interrupted"


def test_a_log_of_more_than_a_block_is_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks end where they end, also inside a letter."""
    text = "µm, 神経, 🧠\n" * 3
    (tmp_path / "log.txt").write_text(text, encoding="utf-8")
    monkeypatch.setattr(follow, "_BLOCK", 5)
    follow.print_log(tmp_path, tmp_path, follow=False)
    assert capsys.readouterr().out == text


def test_processors_where_the_system_does_not_tell_whose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.processors() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.processors() == os.cpu_count()
    assert machine.describe()["cores"] == os.cpu_count()
    assert f"{os.cpu_count()} processors" in doctor._memory(1e10).text


def test_stages(house: House) -> None:
    (house.code / "stages/wrong.py").write_text("X = 1")
    ended = house("stages")
    assert ended.code == 0
    assert "copy-text  Copy a text, with a number added." in ended.out
    assert "wrong      cannot be used: stages/wrong.py: has no docstring" in ended.out
    assert "__main__" not in ended.out
    ended = house("stages", "copy-text")
    assert ended.out.splitlines() == [
        "copy-text: Copy a text, with a number added.",
        "",
        "inputs:",
        "  source: stack or statistics",
        "  extra: statistics (optional)",
        "outputs:",
        "  text: statistics",
        "params:",
        '  suffix: text, ""',
        "      What to add.",
        "  upper: true or false, false",
        "      Ignore what there is.",
    ]


def test_doctor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (house.work / ".keras").mkdir()
    (house.work / ".keras/keras.json").write_text('{"backend": "jax"}')  # not what a run would take
    monkeypatch.setenv("HOME", str(house.work))
    ended = house("doctor", "--workdir", "runs/x")
    assert ended.code in (0, 1)
    assert ended.err == ""
    assert not (house.work / "runs").exists()
    assert "with jax as its backend" not in ended.out
    for expected in ("Python 3.", "packages: ", "numpy ", "of memory", "run folder runs/x: ", "GPU"):
        assert expected in ended.out
    for line in ended.out.splitlines():
        assert line.split()[0] in ("ok", "note", "trouble")
        assert line.startswith("ok") or " -> " in line  # what to do


def test_doctor_on_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._python((3, 10)).level == "trouble"
    assert doctor._python((3, 13)).level == "ok"
    assert doctor._memory(2e9).level == "note"
    monkeypatch.setattr(machine, "file_system", lambda path: "9p")
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    (finding,) = [each for each in doctor._folder(tmp_path) if "9p" in each.text and "below /mnt" in each.advice]
    assert finding.level == "note"


def test_file_system_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert machine.file_system(Path("/proc/self")) == "proc"
    assert machine.file_system(tmp_path / "none") == machine.file_system(tmp_path) != ""


def test_a_hidden_gpu_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    one = machine.Nvidia((machine.Gpu("NVIDIA H100", 80_000_000_000, (9, 0)),), "550.54.15", "")
    monkeypatch.setattr(machine, "nvidia", lambda: one)
    for visible, names in (("-1", []), ("", []), ("0", ["NVIDIA H100"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert machine.gpus() == names
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert machine.gpus() == ["NVIDIA H100"]


def test_gpu_steps_see_the_gpu_and_others_do_not(house: House) -> None:
    (house.code / "stages/slow.py").write_text(
        (house.code / "stages/slow.py")
        .read_text()
        .replace('print("from", done', 'print(os.environ.get("CUDA_VISIBLE_DEVICES")')
    )
    house.pipeline("name: demo\nsteps: {a: {stage: slow}, b: {stage: slow, gpu: true}}\n")
    expected = os.environ.get("CUDA_VISIBLE_DEVICES", "None")
    assert house("run", "p.yaml").code == 0
    assert house("logs", "a").out.splitlines()[-1] == "-1"
    assert house("logs", "b").out.splitlines()[-1] == expected


def test_job_json_is_what_the_stage_is_told(done: House, done_once: Path) -> None:
    job = json.loads((done.work / "runs/demo/two/job.json").read_text())
    folder = done_once / "work/runs/demo"
    assert job == {
        "step": "two",
        "stage": "copy-text",
        "params": {"suffix": "!", "upper": False},
        "inputs": {"source": str(folder / "one/text.json")},
        "outputs": {"text": str(folder / "two/partial/text.json")},
        "state": str(folder / "two/state"),
        "program": records.Parts.model_validate(
            json.loads((done.work / "runs/demo/two/step.json").read_text())["parts"]
        ).program(),
        "gpu": False,
    }


def test_keras_is_what_the_record_says_not_what_a_file_at_home_says(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module of Keras that reads its settings is asked, in a stage."""
    home = house.work / "home"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras/keras.json").write_text('{"backend": "jax", "floatx": "float64", "image_data_format": "x"}')
    monkeypatch.setenv("HOME", str(home))
    stage = house.code / "stages/breaks.py"
    keras = """
    import importlib.util, sys, types, unittest.mock
    from pathlib import Path
    folder = Path(importlib.util.find_spec("keras").origin).parent
    for name in ("", ".src", ".src.backend", ".src.backend.common"):  # what it needs of others takes seconds
        sys.modules["keras" + name] = unittest.mock.MagicMock()
    sys.modules["keras.src.api_export"] = export = types.ModuleType("keras.src.api_export")
    export.keras_export = lambda *names: lambda function: function
    spec = importlib.util.spec_from_file_location("config", folder / "src/backend/config.py")
    config = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(config)
    print(config.backend(), config.floatx())
"""
    stage.write_text(stage.read_text().replace('    print("about to break", flush=True)\n', keras))
    house.pipeline("name: demo\nsteps: {x: {stage: breaks}}\n")
    for _ in range(2):  # Keras writes down what it found: the second time it must not be led by that
        ended = house("run", "p.yaml", "--force", "x")
        assert ended.code == 0, ended.err
        assert house("logs", "x").out.splitlines()[-1] == "tensorflow float32"
        settings = house.work / "runs/demo/x/.keras/keras.json"
        settings.write_text('{"backend": "jax", "floatx": "float16"}')
    assert (
        json.loads((house.work / "runs/demo/run.json").read_text())["steps"]["x"]["engine"]["backend"] == "tensorflow"
    )


def test_doctor_on_a_file(demo: House) -> None:
    ended = demo("doctor", "--workdir", "p.yaml")
    assert ended.code == 1
    assert "run folder p.yaml: is a file" in ended.out
