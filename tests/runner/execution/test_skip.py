"""Which steps run again, and why: what decides a result is compared with what was recorded."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from floodrunner.runner import machine
from floodrunner.runner.execution import skip

if TYPE_CHECKING:
    from conftest import House


def planned(house: House, *sets: str, **options: Any) -> dict[str, str]:
    """step -> `run why`: what `plan` prints, asked for in this process."""
    with contextlib.chdir(house.work):
        setting = house.setting(*sets, **options)
        found = skip.decisions(setting.plan, setting.engine, setting.root)
    return {step: f"{WORDS[each.runs]} {each.reason}" for step, each in found.items()}


def read(house: House, *names: str) -> Any:
    return json.loads(house.work.joinpath("runs/demo", *names).read_text())


WORDS = {True: "run", False: "skip", None: "may-run"}


SKIPPED = "skip nothing changed"


def test_a_parameter(done: House) -> None:
    assert planned(done, "two.suffix=.") == {
        "one": SKIPPED,
        "two": 'run parameter suffix: "!" -> "."',
        "three": "may-run waits for two",
    }


def test_a_comment_does_not_count_code_does(done: House) -> None:
    helper = done.code / "segmentation/helper.py"
    helper.write_text(
        '"""Help."""\n# a comment\ndef add(text,\n        suffix):\n    """Adds."""\n    return (text + suffix)\n'
    )
    assert set(planned(done).values()) == {SKIPPED}
    helper.write_text("def add(text, suffix):\n    return text + suffix + ''\n")
    assert planned(done) == {
        "one": "run segmentation/helper.py changed",
        "two": "run segmentation/helper.py changed",
        "three": "may-run waits for two",
    }


def test_what_comes_out_equal_stops_the_wave(done: House) -> None:
    """The helper changed, so `one` and `two` run; what they make is the same, so `three` does not."""
    (done.code / "segmentation/helper.py").write_text("def add(text, suffix):\n    return text + suffix + ''\n")
    ended = done.run()
    assert "one: runs (segmentation/helper.py changed)" in ended.out
    assert "two: runs (segmentation/helper.py changed)" in ended.out
    assert "three: skipped (nothing changed)" in ended.out
    assert set(planned(done).values()) == {SKIPPED}


def test_the_stage_itself(done: House) -> None:
    file = done.code / "stages/slow.py"
    file.write_text(file.read_text().replace("done += 1", "done = done + 1"))
    assert planned(done) == {"one": SKIPPED, "two": SKIPPED, "three": "run stages/slow.py changed"}


def test_an_input_counts_by_content_not_by_place(done: House) -> None:
    shutil.copytree(done.work / "texts", done.work / "elsewhere")
    assert set(planned(done, inputs=["texts=elsewhere"]).values()) == {SKIPPED}
    (done.work / "elsewhere/b.txt").write_text("World")
    assert planned(done, inputs=["texts=elsewhere"])["one"] == "run input source changed"
    (done.work / "texts/c.txt").write_text("")
    assert planned(done)["one"] == "run input source changed"
    (done.work / "texts/c.txt").unlink()
    (done.work / "texts/b.txt").rename(done.work / "texts/0.txt")
    assert planned(done)["one"] == "run input source changed"


def test_beside_sections_nothing_counts_but_among_pictures_and_in_a_model_everything_does(demo: House) -> None:
    (demo.work / "texts/sub").mkdir()
    (demo.work / "texts/sub/x").write_text("x")
    demo.pipeline("name: demo\ninputs: {texts: {path: texts}}\nsteps: {x: {stage: breaks, in: {a: inputs.texts}}}\n")
    stage = demo.code / "stages/breaks.py"
    changed = "run input a changed"
    for kind, reason in (("stack", SKIPPED), ("pictures", changed), ("stack|ffn-model", changed)):
        stage.write_text(re.sub("INPUTS = .*", f"INPUTS = {{'a': '{kind}'}}", stage.read_text()))
        (demo.work / "texts/sub/x").write_text("x")
        assert demo.run().code == 0
        (demo.work / "texts/sub/x").write_text("y")
        assert planned(demo) == {"x": reason}


def test_an_input_that_changes_without_changing_size(done: House) -> None:
    (done.work / "texts/b.txt").write_text("w0rld")
    ended = done.run()
    assert "one: runs (input source changed)" in ended.out
    assert (done.work / "runs/demo/two/text.json").read_text() == "hello w0rld!"


def test_outputs_deleted_or_changed_by_hand(done: House) -> None:
    (done.work / "runs/demo/one/picture.txt").unlink()
    (done.work / "runs/demo/two/text.json").write_text("hello World!")
    assert planned(done) == {
        "one": "run output picture.txt was deleted",
        "two": "run output text.json was changed by hand",
        "three": "may-run waits for two",
    }
    assert done.run().code == 0
    assert (done.work / "runs/demo/two/text.json").read_text() == "hello world!"


def test_a_touched_or_copied_output_is_the_same(done: House) -> None:
    os.utime(done.work / "runs/demo/two/text.json", (1, 1))
    assert set(planned(done).values()) == {SKIPPED}


def test_ports_that_come_and_go(done: House) -> None:
    written = done.written
    done.pipeline(written.replace("{source: one.text}", "{source: one.text, extra: one.text}"))
    assert planned(done)["two"] == "run input extra is new"
    assert done.run().code == 0
    done.pipeline(written)
    assert planned(done)["two"] == "run input extra is no longer connected"


def test_limits_do_not_change_a_result(done: House) -> None:
    done.pipeline(done.written.replace("stage: slow", "stage: slow, memory_gb: 8, processes: 100"))
    assert set(planned(done).values()) == {SKIPPED}
    ended = done.run(force=["three"])
    assert ended.code == 0, ended.err
    note = "three: memory_gb and processes limit steps in containers only (--engine docker)"
    assert note in ended.out.splitlines()
    assert done.run().out.count(SKIPPED.removeprefix("skip ")) == 3


def test_gpu_is_part_of_it_and_runs_on_the_cpu_with_a_note(done: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", list)
    done.pipeline(done.written.replace("stage: slow", "stage: slow, gpu: true"))
    assert planned(done)["three"] == "run gpu: false -> true"
    ended = done.run()
    assert ended.code == 0
    assert "no GPU found: three will run on the CPU, which is slower (floodrunner doctor says more)" in ended.out


def test_another_stage_under_the_same_step(done: House) -> None:
    done.pipeline(done.written.replace("stage: slow, in: {source: two.text}", "stage: breaks"))
    assert planned(done)["three"] == "run stage slow -> breaks"
    assert done.run().code == 0
    assert not (done.work / "runs/demo/three/count.json").exists()  # what only the former stage made is gone
    assert (done.work / "runs/demo/three/nothing.json").exists()


def test_more_than_three_reasons(done: House) -> None:
    done.pipeline(
        done.written.replace(
            "stage: slow,", "stage: slow, gpu: true, params: {steps: 9, seconds: 0.01, ignore_stop: 0.1},"
        )
    )
    assert planned(done)["three"] == (
        "run parameter ignore_stop: 0.0 -> 0.1; parameter seconds: 0.0 -> 0.01; parameter steps: 10 -> 9; and 1 more"
    )


def test_an_update_of_many_files_is_one_reason(done: House) -> None:
    file = done.work / "runs/demo/one/step.json"
    step = json.loads(file.read_text())
    for changed in ("contract/stage.py", "stages/copy_text.py", "segmentation/helper.py"):
        step["parts"]["code"][changed] = "another hash"
    file.write_text(json.dumps(step))
    names = "contract/stage.py changed; segmentation/helper.py changed; stages/copy_text.py changed"
    assert planned(done)["one"] == f"run {names}"
    step["parts"]["code"]["stages/gone.py"] = "a hash"
    file.write_text(json.dumps(step))
    assert planned(done)["one"] == "run 4 source files of the stage changed"
    del step["parts"]["code"]["stages/copy_text.py"]
    for restored in ("contract/stage.py", "segmentation/helper.py"):
        step["parts"]["code"][restored] = json.loads((done.work / "runs/demo/two/step.json").read_text())["parts"][
            "code"
        ][restored]
    file.write_text(json.dumps(step))
    assert planned(done)["one"] == (
        "run stages/copy_text.py is now imported by the stage; stages/gone.py is no longer imported by the stage"
    )


def test_another_engine_version(done: House) -> None:
    file = done.work / "runs/demo/one/step.json"
    step = json.loads(file.read_text())
    step["parts"]["engine"]["numpy"] = "1.0"
    file.write_text(json.dumps(step))
    assert planned(done)["one"].startswith("run numpy 1.0 -> ")


def test_a_damaged_record_counts_as_none(done: House) -> None:
    (done.work / "runs/demo/one/step.json").write_text('{"step": "one"')
    assert planned(done)["one"] == "run not finished last time"
