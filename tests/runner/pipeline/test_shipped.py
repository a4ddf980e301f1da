"""The pipelines that we ship can be planned with the stages that we ship, and are found by name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from floodrunner.runner import cli
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import plan, registry, shipped, spec
from floodrunner.runner.pipeline.options import Options

FOLDER = Path(__file__).resolve().parents[3] / "pipelines"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def floodrunner(*arguments: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli.cli, arguments)


def refused(written: str) -> str:
    with pytest.raises(UserError) as error:
        shipped.find(written)
    return str(error.value)


def test_what_is_shipped_is_what_the_repository_and_the_wheel_hold() -> None:
    with open(FOLDER.parent / "pyproject.toml", "rb") as file:
        packed = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    assert sorted(Path(path).stem for path in packed if path.startswith("/pipelines/")) == sorted(shipped.NAMES)
    git = ["git", "-C", str(FOLDER), "ls-files", "*.yaml", "*.yml"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout of git")
    assert {Path(path).stem for path in listed.stdout.split()} == {*shipped.NAMES}


def test_a_file_of_the_users_beside_them_is_not_shipped(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("checkout") / "pipelines"
    shutil.copytree(FOLDER, folder)
    (folder / "mine.yaml").write_text("name: [")
    monkeypatch.setattr(shipped, "FOLDER", folder)
    done = floodrunner("pipelines")
    assert done.exit_code == 0
    assert "mine" not in done.output
    assert "there is no shipped pipeline with this name" in refused("mine")


@pytest.mark.parametrize("name", shipped.NAMES)
def test_it_can_be_planned(name: str, tmp_path: Path) -> None:
    pipeline = spec.load(FOLDER / f"{name}.yaml")
    inputs = []
    for port, given in pipeline.spec.inputs.items():
        assert given.help, f"input {port} needs a help text"
        (tmp_path / port).mkdir()
        (tmp_path / port / "0.png").write_bytes(b"x")
        inputs.append(f"{port}={tmp_path / port}")
    planned = plan.make(pipeline, registry.scan(), tmp_path / "run", Options(inputs=inputs))
    assert [step.id for step in planned.steps] == list(pipeline.spec.steps)
    assert pipeline.spec.name == name
    assert planned.inputs.keys() == pipeline.spec.inputs.keys(), "an input that no step uses"


def test_a_name_is_found_from_anywhere(here: Path) -> None:
    assert shipped.find("ffn") == FOLDER / "ffn.yaml"
    done = floodrunner("plan", "quickstart")
    assert done.exit_code == 0
    assert done.output.startswith("quickstart in runs/quickstart, ")
    assert not list(here.iterdir())


def test_messages_name_a_pipeline_as_people_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    assert re.fullmatch(r"ffn:\d+", shipped.load("ffn").document.at(("name",)))
    assert shipped.load("ffn").document.source == "pipelines/ffn.yaml"
    assert shipped.load("pipelines/ffn.yaml").document.at(("name",)).startswith("pipelines/ffn.yaml:")
    assert str(shipped.find("ffn")) == "pipelines/ffn.yaml"
    assert str(shipped.find("pipelines/ffn.yaml")) == "pipelines/ffn.yaml"


def test_inputs_start_in_the_current_folder(here: Path) -> None:
    with pytest.raises(UserError, match=r"(^|\s)ffn:\d+: input images .* data/images does not exist") as found:
        cli.cli.main(["plan", "ffn"], standalone_mode=False)
    assert f"(seen from the current folder, {here})" in str(found.value)


def test_what_looks_like_a_path_is_one(here: Path) -> None:
    Path("my.yaml").touch()
    Path("mine").touch()
    for written in ("my.yaml", "./mine", "mine", "none/x", "none.yml"):
        assert shipped.find(written) == Path(written)


@pytest.mark.parametrize("name", ["quickstart", "quickstart.yaml", "quickstart.yml"])
def test_of_a_file_and_a_name_neither_wins(here: Path, name: str) -> None:
    Path(name).write_text("name: other\n")
    written = name if "." in name else f"./{name}"
    file = FOLDER / "quickstart.yaml"
    assert refused("quickstart") == (
        f"quickstart: may mean the file {name} in this folder, or the pipeline that is shipped; write {written} for "
        f"the file, or {file} for the shipped pipeline"
    )
    assert shipped.find(written) == Path(name)
    assert shipped.find(str(file)) == file


def test_a_file_with_the_same_content_and_a_folder_are_in_nobodys_way(here: Path) -> None:
    Path("quickstart.yaml").write_bytes((FOLDER / "quickstart.yaml").read_bytes())
    Path("quickstart").mkdir()
    assert shipped.find("quickstart") == FOLDER / "quickstart.yaml"


def test_a_file_that_cannot_be_read_is_in_the_way(here: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    Path("ffn").touch(0)
    assert "may mean the file ffn" in refused("ffn")


def test_an_unknown_name_gets_the_most_similar_ones(here: Path) -> None:
    assert refused("quickstar") == (
        "'quickstar': there is no shipped pipeline with this name, nor a file; did you mean 'quickstart'? (floodrunner "
        "pipelines lists what is shipped)"
    )
    Path("membranes.yaml").touch()
    assert "did you mean 'membranes.yaml'?" in refused("membranes")
    assert "choose one of ffn, quickstart, " in refused("zzz")


@pytest.mark.parametrize("written", ["ffn.yaml", "pipelines/ffn.yaml"])
def test_the_file_of_a_checkout_is_called_by_its_name_elsewhere(here: Path, written: str) -> None:
    assert refused(written) == (
        f"{written}: no such file; the shipped pipeline has the name ffn: floodrunner run ffn, or floodrunner "
        "pipelines ffn --copy to edit a copy"
    )


def test_the_list_says_what_each_is_for(here: Path) -> None:
    lines = floodrunner("pipelines").output.splitlines()
    assert [line.split()[0] for line in lines if line[:1].strip() and "  " in line] == [*shipped.NAMES]
    assert any(
        line.startswith("quickstart ") and line.endswith("A complete example that needs no data.") for line in lines
    )
    for name in shipped.NAMES:
        pipeline = spec.load(FOLDER / f"{name}.yaml")
        assert shipped.first_sentence(pipeline.document.text).endswith(".")
        assert all(any(given.help in line for line in lines) for given in pipeline.spec.inputs.values())
        assert all(
            f"floodrunner run {name} " in line
            for line in shipped.comment(pipeline.document.text)
            if " run " in line and "--input" in line
        )


def test_the_list_fits_the_terminal() -> None:
    wide, narrow = shipped.listing(1000), shipped.listing(80)
    assert max(map(len, wide)) > 100 > 80 >= max(map(len, narrow))
    assert " ".join(wide).split() == " ".join(narrow).split()
    assert narrow[1].startswith(" " * 17)
    assert shipped._beside("  images  ", "", 80) == ["  images"]


def test_one_is_shown_with_its_steps(here: Path) -> None:
    out = floodrunner("pipelines", "unet").output
    assert out.startswith(f"unet ({FOLDER / 'unet.yaml'})\n\nTrains a U-Net on pictures and masks, ")
    assert "\n  images  pictures: a folder of PNG" in out
    assert "\n  train   unet-train " in out
    assert out.endswith("\nrun it: floodrunner run unet --input images=PATH --input labels=PATH\n")


def test_a_pipeline_of_ones_own_is_shown_too(here: Path) -> None:
    Path("my.yaml").write_text("name: my\nsteps: {a: {stage: phantom}}\n")
    assert floodrunner("pipelines", "my.yaml").output.startswith("my (my.yaml)\n\nsteps:\n  a  phantom  ")


def test_one_is_shown_beside_a_file_that_may_be_meant_by_its_name(here: Path) -> None:
    Path("unet.yaml").write_text("name: other\n")
    assert floodrunner("pipelines", "unet").output.startswith(f"unet ({FOLDER / 'unet.yaml'})\n")


@pytest.mark.parametrize(
    ("target", "file", "name"), [([], "my-ffn.yaml", "my-ffn"), (["ffn.yaml"], "ffn.yaml", "my-ffn")]
)
def test_a_copy_has_another_run_folder(here: Path, target: list[str], file: str, name: str) -> None:
    assert floodrunner("pipelines", "ffn", "--copy", *target).exit_code == 0
    assert spec.load(Path(file)).spec.name == name
    assert floodrunner("pipelines", "ffn").exit_code == 0


def test_a_copy_is_ones_own(here: Path) -> None:
    done = floodrunner("pipelines", "ffn", "--copy", "my run.yaml")
    command = "floodrunner run 'my run.yaml' --input images=PATH --input labels=PATH"
    assert done.output == f"my run.yaml is written; edit it, then: {command}\n"
    text = Path("my run.yaml").read_text()
    assert spec.load(Path("my run.yaml")).spec.name == "my-run"
    assert "#   floodrunner run 'my run.yaml' --input images=my/images" in text
    ours = (FOLDER / "ffn.yaml").read_text()
    assert text == ours.replace("name: ffn\n", "name: my-run\n").replace("run ffn ", "run 'my run.yaml' ")


def test_a_copy_never_overwrites(here: Path) -> None:
    assert floodrunner("pipelines", "--copy", "unet-quickstart").exit_code == 0
    Path("my-unet-quickstart.yaml").write_text("precious")
    with pytest.raises(
        UserError, match=r"^my-unet-quickstart.yaml: exists already; remove it, or name another file with --copy"
    ):
        cli.cli.main(["pipelines", "unet-quickstart", "--copy"], standalone_mode=False)
    assert Path("my-unet-quickstart.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fnn", "--copy"], "there is no shipped pipeline 'fnn'; did you mean 'ffn'?"),
        (["--copy"], "--copy: says no pipeline; floodrunner pipelines ffn --copy writes my-ffn.yaml"),
        (["ffn", "--copy", "m"], "--copy m: the name of a pipeline file ends in .yaml; write --copy m.yaml"),
        (["ffn", "--copy", "no/m.yaml"], "no/m.yaml: cannot be written: no such file or directory; name another file"),
    ],
)
def test_a_copy_of_nothing(here: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        cli.cli.main(["pipelines", *arguments], standalone_mode=False)
    assert str(error.value).startswith(message)
    assert not list(here.iterdir())


def test_status_knows_the_names(here: Path) -> None:
    assert cli.reported(lambda: cli.cli.main(["status", "quickstart"], standalone_mode=False)) == 2
    with pytest.raises(UserError, match=r"^runs/quickstart: does not exist"):
        cli.cli.main(["status", "quickstart"], standalone_mode=False)
