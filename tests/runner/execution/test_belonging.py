"""A run folder belongs to its inputs: other data is refused before anything changes, unless --replace is given."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from floodrunner.runner.execution import belonging
from floodrunner.runner.execution.places import keeps_names, location_of, today
from floodrunner.runner.execution.skip import Contents
from floodrunner.runner.fingerprint import content
from tests.runner.conftest import Ended, House

REFUSED = (
    "runs/demo: holds results of texts=texts, and this run is for texts=other; add --workdir runs/demo-other, or "
    "--replace to overwrite those results (also right for data that was moved and edited)"
)


def data(house: House, name: str, text: str) -> str:
    """A folder of texts, at a path that is seen from the folder to work in."""
    folder = house.work / name
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text(text)
    return f"texts={name}"


def everything(house: House) -> dict[str, tuple[int, bytes]]:
    """The times and contents of all files of the run folder but its lock."""
    files = [path for path in (house.work / "runs").rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def result(house: House, step: str = "two") -> str:
    return (house.work / "runs/demo" / step / "text.json").read_text()


@pytest.fixture
def done(demo: House) -> House:
    """A house in which the pipeline has run, where its data is."""
    assert demo.run().code == 0
    return demo


@pytest.mark.parametrize(
    "arguments", [["run"], ["plan"], ["run", "--force", "one"], ["plan", "--from", "two"]], ids=str
)
def test_other_data_is_refused_by_name_before_anything_changes(done: House, arguments: list[str]) -> None:
    before, given = everything(done), data(done, "other", "other ")
    ended = done(*arguments, "p.yaml", "--input", given)
    assert (ended.code, ended.out, ended.error) == (2, "", REFUSED)
    assert everything(done) == before


def test_it_is_overwritten_with_replace(done: House) -> None:
    given = data(done, "other", "other ")
    told = done("plan", "p.yaml", "--input", given, "--replace")
    assert told.out.splitlines()[-1] == "--replace: overwriting the results of texts=texts"
    assert "one    run      input source changed" in told.out
    assert (
        done.run(inputs=[given], replace=True).out.splitlines()[1]
        == "--replace: overwriting the results of texts=texts"
    )
    assert result(done) == "other !"
    again = done.run(inputs=[given], replace=True)
    assert "--replace" not in again.out
    assert "one: skipped" in again.out
    assert "holds results of texts=other, and this run is for texts=texts;" in done.run().error


def test_the_advice_works(done: House) -> None:
    given = data(done, "other", "other ")
    advised = REFUSED.split("--workdir ")[1].split(",")[0]
    assert done.run(inputs=[given], workdir=advised).code == 0
    assert done.run(inputs=[given]).error == REFUSED  # that folder holds a run of this data now
    taken = data(done, "third/other", "third ")
    assert "add --workdir runs/demo-third-other," in done.run(inputs=[taken]).error


def test_data_may_be_edited_or_moved(done: House) -> None:
    (done.work / "texts").rename(done.work / "moved")
    assert "one: skipped" in done.run(inputs=["texts=moved"]).out
    (done.work / "moved/b.txt").write_text("there")
    assert "one: runs (input source changed)" in done.run(inputs=["texts=moved"]).out
    shutil.copytree(done.work / "moved", done.work / "copy")
    assert "one: skipped" in done.run(inputs=["texts=copy"]).out


def test_a_project_may_be_moved_with_its_data_and_then_edited(done: House) -> None:
    done.work.rename(new := done.work.with_name("new"))
    (new / "texts/a.txt").write_text("edited ")
    moved = House(done.code, new)
    assert "its input texts has changed since" in moved("status").out
    assert "one: runs (input source changed)" in moved.run().out


def test_a_copied_run_folder_does_not_take_other_data_that_lies_beside_it(done: House) -> None:
    """The former data is still there, so the folder was not moved together with it."""
    lab = House(done.code, done.work / "lab")
    (lab.work / "texts").mkdir(parents=True)
    (lab.work / "texts/a.txt").write_text("other ")
    lab.pipeline(done.written)
    shutil.copytree(done.work / "runs", lab.work / "runs")
    assert f"holds results of texts={done.work}/texts, and this run is for texts=texts;" in lab.run().error
    (done.work / "texts/a.txt").write_text("edited ")
    assert "its input texts has changed since" in lab("status").out
    shutil.copytree(done.work / "texts", lab.work / "texts", dirs_exist_ok=True)
    (done.work / "texts").rename(done.work / "archive")
    assert lab.run().code == 0


@pytest.mark.parametrize(
    ("names", "refused"),
    [(["x.txt", "y.txt"], True), ([], False), (["x.txt", "b.txt"], False), (["a.txt"], False)],
    ids=["all others", "none", "some stay", "fewer"],
)
def test_other_files_at_the_same_place_are_other_data(done: House, names: list[str], refused: bool) -> None:
    shutil.rmtree(done.work / "texts")
    (done.work / "texts").mkdir()
    for name in names:
        (done.work / "texts" / name).write_text("other ")
    if not refused:
        done.run()  # the stage says what it thinks of an empty folder
        return
    before, error = everything(done), done("plan", "p.yaml").error
    assert error == done.run().error
    assert error == (
        "runs/demo: holds results of texts=texts with files such as a.txt, and this run is for texts=texts with other "
        "files; add --workdir runs/demo-texts-2, or --replace to overwrite those results (also right for data that was "
        "moved and edited)"
    )
    assert everything(done) == before
    assert done.run(workdir="runs/demo-texts-2").code == 0
    assert done.run(replace=True).code == 0
    assert "one: skipped" in done.run().out


def test_a_few_files_that_go_with_every_stack_are_not_the_stack() -> None:
    old, new = ([f"{kind}{k}.tif" for k in range(20)] + ["README.txt"] for kind in "ab")
    assert not keeps_names(old, new)
    assert keeps_names(old, old[:2])
    assert keeps_names(old[:1], old)
    assert keeps_names([], new)


def test_where_data_is_after_a_move(tmp_path: Path) -> None:
    (tmp_path / "new/data").mkdir(parents=True)
    (tmp_path / "new/data/x.h5").write_text("")
    old, former = f"{tmp_path}/old/data/x.h5:raw", f"{tmp_path}/old/runs/demo"
    assert today(old, former, tmp_path / "new/runs/demo") == f"{tmp_path}/new/data/x.h5:raw"
    assert today(old, former, tmp_path / "else/runs/demo") == old
    assert today(old, "", tmp_path / "new/runs/demo") == old
    (tmp_path / "old/data").mkdir(parents=True)
    (tmp_path / "old/data/x.h5").write_text("")
    assert today(old, former, tmp_path / "new/runs/demo") == old


def test_data_at_the_same_place_is_not_read_for_this(done: House) -> None:
    with contextlib.chdir(done.work), mock.patch.object(content, "of_input", side_effect=AssertionError("read")):
        setting = done.setting()
        assert belonging.check(setting, Contents(setting.plan, content.Cache(Path(".none")))) == ""


def test_a_folder_without_results_is_free(demo: House) -> None:
    """A mistyped path whose run failed, and its correction."""
    given = data(demo, "wrong", "x")
    (demo.work / "wrong/a.bad").write_text("")
    assert "holds a .bad file" in demo.run(inputs=[given]).error
    assert demo.run().code == 0


def test_an_input_from_which_nothing_was_made_may_be_another(demo: House) -> None:
    demo.pipeline(PIPELINE_OF_TWO)
    data(demo, "bad", "x")
    (demo.work / "bad/a.bad").write_text("bad")
    assert "holds a .bad file" in demo.run(inputs=["extra=bad/a.bad"]).error
    (demo.work / "extra.txt").write_text("extra")
    assert demo.run(inputs=["extra=extra.txt"]).code == 0
    (demo.work / "other.txt").write_text("other")
    refused = demo.run(inputs=["extra=other.txt"])
    assert refused.error.startswith("runs/demo: holds results of extra=extra.txt, and this run is for extra=other.txt;")
    assert "--workdir runs/demo-other," in refused.error


PIPELINE_OF_TWO = """\
name: demo
inputs:
  texts: {path: texts}
  extra: {}
steps:
  one: {stage: copy-text, in: {source: inputs.texts}}
  two: {stage: copy-text, in: {source: inputs.extra}}
"""


def test_a_lost_record_of_the_run_is_made_up_for_by_those_of_the_steps(done: House) -> None:
    (done.work / "runs/demo/run.json").unlink()
    assert done.run(inputs=[data(done, "other", "other ")]).error == REFUSED
    (done.work / "texts/a.txt").write_text("edited ")
    assert "one: runs (input source changed)" in done.run().out


def test_a_damaged_record_is_no_reason_to_stop(done: House) -> None:
    file = done.work / "runs/demo/run.json"
    run = json.loads(file.read_text())
    for damage in ({"inputs": [1]}, {"inputs": {"texts": 3}}, {"steps": {"one": 1, "two": {"in": 2}}}):
        file.write_text(json.dumps({**run, **damage}))
        assert "one: skipped" in done.run().out


def test_a_killed_run_that_replaced_data_goes_on_without_asking(done: House) -> None:
    """Until its first step is done the folder holds the former results, so the former data may come back too."""
    given = data(done, "other", "other ")
    killed: Callable[..., Ended] = mock.Mock(side_effect=KeyboardInterrupt)
    with mock.patch("floodrunner.runner.execution.run._run_or_skip", killed):
        assert done.run(inputs=[given], replace=True).code == 130
    assert json.loads((done.work / "runs/demo/run.json").read_text())["inputs"]["texts"]["path"].endswith("other")
    before = everything(done)
    assert "one: skipped" in done.run().out
    for path, (_, text) in before.items():
        Path(path).write_bytes(text)
    assert done.run(inputs=[given]).code == 0
    assert result(done) == "other !"


def test_an_input_that_got_another_name_is_known_by_its_steps(done: House) -> None:
    data(done, "other", "other ")
    done.pipeline(
        done.written.replace("texts: {path: texts}", "new: {path: other}").replace("inputs.texts", "inputs.new")
    )
    assert done.run().error == REFUSED.replace("texts=texts", "new=texts").replace("texts=other", "new=other")


def test_a_link_to_another_folder_is_other_data_and_a_link_to_the_same_is_not(done: House) -> None:
    data(done, "sets/a", "a ")
    data(done, "sets/b", "b ")
    now = done.work / "now"
    now.symlink_to("sets/a")
    assert done.run(inputs=["texts=now"], workdir="runs/now").code == 0
    assert "one: skipped" in done.run(inputs=["texts=sets/a"], workdir="runs/now").out
    assert done.run(inputs=["texts=now"], workdir="runs/now").code == 0
    now.unlink()
    now.symlink_to("sets/b")
    assert done.run(inputs=["texts=now"], workdir="runs/now").error == (
        "runs/now: holds results of texts=now (a link to sets/a), and this run is for texts=now (a link to sets/b); "
        "add --workdir runs/now-b, or --replace to overwrite those results (also right for data that was moved and "
        "edited)"
    )


def test_a_link_to_a_file_counts_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    (tmp_path / "store/x.h5").symlink_to("elsewhere")
    assert location_of(f"{tmp_path}/link/x.h5:raw") == f"{tmp_path}/store/x.h5:raw"
    assert location_of(f"{tmp_path}/link") == f"{tmp_path}/store"


def test_datasets_of_one_file_are_different_data(demo: House) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(demo.work / "vol.h5", "w") as file:
        file["a"], file["b"] = [1], [2]
    stage = demo.code / "stages/breaks.py"
    stage.write_text(stage.read_text().replace("INPUTS = {}", "INPUTS = {'a': 'stack'}"))
    demo.pipeline("name: demo\ninputs: {raw: {path: 'vol.h5:a'}}\nsteps: {x: {stage: breaks, in: {a: inputs.raw}}}\n")
    assert demo.run().code == 0
    refused = demo.run(inputs=["raw=vol.h5:b"])
    assert (
        "holds results of raw=vol.h5:a, and this run is for raw=vol.h5:b; add --workdir runs/demo-vol-b,"
        in refused.error
    )


def test_two_inputs_of_one_name_do_not_end_in_a_dead_end(demo: House) -> None:
    demo.pipeline(demo.written.replace("name: demo", "name: demo\nrun_folder_per: texts"))
    first, second = data(demo, "a/images", "a "), data(demo, "b/images", "b ")
    assert "Everything is in runs/demo/images" in demo("run", "p.yaml", "--input", first).out
    refused = demo("run", "p.yaml", "--input", second)
    assert refused.error == (
        "runs/demo/images: holds results of texts=a/images, and this run is for texts=b/images; add --workdir "
        "runs/demo/b-images, or --replace to overwrite those results (also right for data that was moved and edited)"
    )
    assert demo("run", "p.yaml", "--input", second, "--workdir", "runs/demo/b-images").code == 0


def test_plan_too_refuses_the_folder_of_another_pipeline(done: House) -> None:
    done.pipeline(done.written.replace("name: demo", "name: other"))
    refused = {done(command, "p.yaml", "--workdir", "runs/demo", "--replace").error for command in ("plan", "run")}
    assert refused == {
        f"{done.work}/runs/demo: holds a run of the pipeline 'demo', not of 'other'; choose another run folder with "
        "--workdir"
    }
