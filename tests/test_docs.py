"""What the documents say, done."""

from __future__ import annotations

import io
import json
import re
import shlex
import types
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import yaml

from floodrunner.contract.job import Job
from floodrunner.contract.ports import port_file
from floodrunner.contract.stage import Context
from floodrunner.runner.pipeline import shipped
from floodrunner.segmentation.scores.cell_mistakes import CellMistakes
from floodrunner.stages.reports import worst_objects
from floodrunner.stages.storage import object_table
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume

ROOT = Path(__file__).resolve().parents[1]


def test_the_stage_in_adding_a_stage_works(tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "adding-a-stage.md").read_text(), re.DOTALL)
    assert block
    stage = types.ModuleType("stages.documented")
    exec(block[1], stage.__dict__)
    labels = np.zeros((4, 6, 8), np.uint32)
    labels[0] = 5
    labels[2, 0, 0] = 9
    write_volume(tmp_path / "in.h5", "segmentation", labels, Place())
    job = Job(
        step="small",
        stage="documented",
        params={},
        inputs={port: str(tmp_path / "in.h5") for port in stage.INPUTS},
        outputs={port: str(tmp_path / port_file(port, kind)) for port, kind in stage.OUTPUTS.items()},
        state=str(tmp_path / "state"),
    )
    events = io.StringIO()
    stage.run(stage.Params.parse({"min_size": 40}), Context(job, events))
    result, _ = read_volume(tmp_path / "segmentation.h5")
    np.testing.assert_array_equal(result, np.where(labels == 5, 5, 0))
    assert json.loads(events.getvalue())["value"] == 1


def test_the_job_in_adding_a_stage_is_one() -> None:
    block = re.search(r"```json\n(.*?)```", (ROOT / "docs" / "adding-a-stage.md").read_text(), re.DOTALL)
    assert block
    assert json.loads(block[1]).keys() == Job.model_fields.keys()
    Job.model_validate_json(block[1])


def test_commands_in_the_readme_exist() -> None:
    from click.testing import CliRunner

    from floodrunner.runner.cli import cli

    readme = (ROOT / "README.md").read_text()
    commands = set(re.findall(r"^(?:\.venv/bin/)?floodrunner +([a-z-]+)", readme, re.MULTILINE))
    assert len(commands) > 4
    for command in commands:
        assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0, command


PLACEHOLDER = re.compile(r"@@|\?\?\?|\b(TODO|TBD|FIXME|XXX)\b", re.IGNORECASE)
"""What writers put where a figure or a sentence is still missing."""


def test_nothing_is_left_to_fill_in() -> None:
    for unfinished in ("takes @@ s", "about ??? GB", "TODO: the figures", "(tbd)", "fixme", "XXX"):
        assert PLACEHOLDER.search(unfinished)
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert {"README.md", "CHANGELOG.md", "adding-a-stage.md"} <= {page.name for page in pages}
    lines = [(page.name, line) for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    assert not [(name, line) for name, line in lines if PLACEHOLDER.search(line)]


@pytest.fixture
def own_data(tmp_path: Path) -> dict[str, Path]:
    """Sections or pictures, their labels, a U-Net and an FFN, as small as the settings in the documents allow."""
    from PIL import Image

    from floodrunner.segmentation.ffn import spec as ffn
    from floodrunner.segmentation.unet.network import NetworkSpec
    from floodrunner.stages.storage import ffn_models
    from floodrunner.stages.storage.unet_models import write_model

    random = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        for z in range(64):
            pixels = random.integers(1, 200, (160, 160), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"z{z:02d}.png", compress_level=0)
    write_model(tmp_path / "model", NetworkSpec("classic", 1, 2, 4, False), [], {})
    ffn_models.write_model(tmp_path / "ffn-model", ffn.NetworkSpec(1, 2, (9, 17, 17), (2, 4, 4)), {}, 1)
    data = {name: tmp_path / name for name in ("images", "labels", "model", "ffn-model")}
    return {**data, "new-images": data["images"], "new-labels": data["labels"]}


def write_pipelines_of_the_page() -> None:
    """Writes those of "My own stack": `mine.yaml`, a copy of `ffn` with what the page adds, and `rest.yaml`."""
    page = (ROOT / "docs" / "my-own-stack.md").read_text()
    edits, rest = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    Path("rest.yaml").write_text(rest)
    added = yaml.safe_load(edits.replace("  ...\n", ""))
    text, _ = shipped.copy_of("ffn", Path("mine.yaml"))
    made = yaml.safe_load(text)
    made["inputs"] |= added["inputs"]
    made["steps"] = {name: step for name, step in made["steps"].items() if name not in added["steps"]} | added["steps"]
    Path("mine.yaml").write_text(yaml.safe_dump(made, sort_keys=False))


@pytest.mark.parametrize("page", ["README.md", "docs/my-own-stack.md"])
@pytest.mark.parametrize("name", ["run", "plan"])
def test_settings_in_the_documents_are_accepted(
    name: str, page: str, own_data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `run` and `plan` line is planned and surveyed, on data that is there."""
    from click.testing import CliRunner

    from floodrunner.contract.survey import Report
    from floodrunner.runner.cli import cli
    from floodrunner.runner.engines.base import Engine
    from floodrunner.runner.pipeline.plan import Plan
    from floodrunner.runner.pipeline.spec import load
    from floodrunner.runner.survey import ask
    from floodrunner.stages.survey.look import survey

    reports: list[Report] = []

    def survey_here(plan: Plan, engine: Engine, root: Path, done: Collection[str]) -> Report:
        paths = {f"inputs.{name}": path for name, path in plan.inputs.items()}
        reports.append(survey(ask.planned_steps(plan, done), paths))
        return reports[-1]

    def no_measurement(*arguments: object) -> NoReturn:
        raise ask.NoAnswer("nothing is measured here")

    monkeypatch.setattr(ask, "survey", survey_here)
    monkeypatch.setattr(ask, "speeds", no_measurement)
    monkeypatch.chdir(tmp_path)
    write_pipelines_of_the_page()
    text = (ROOT / page).read_text().replace("\\\n", " ")
    lines = re.findall(rf"^(?:\.venv/bin/)?floodrunner +{name} +(.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert lines
    for line in lines:
        arguments = [
            f"{port}={own_data[port]}" if (port := word.split("=")[0]) in own_data else word
            for word in shlex.split(line)
        ]
        for port in load(shipped.find(arguments[0])).spec.inputs:
            path = own_data["ffn-model" if arguments[0] == "rest.yaml" and port == "model" else port]
            if f"{port}={path}" not in arguments:
                arguments += ["--input", f"{port}={path}"]
        if "--engine" in arguments:  # whether it is there is another matter
            del arguments[(at := arguments.index("--engine")) : at + 2]
        done = CliRunner().invoke(cli, ["plan", *arguments, "--workdir", str(tmp_path / "run")], catch_exceptions=False)
        assert done.exit_code == 0, (line, done.output)
        assert reports[-1].costs, line
    assert len(reports) == len(lines)


def test_links_in_the_documents_lead_somewhere() -> None:
    links = [
        (page, link)
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())
        if not link.startswith("http")
    ]
    assert len(links) > 3
    missing = [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert not missing


def test_the_page_about_results_names_the_columns_of_its_tables() -> None:
    named = {}
    for part in re.split(r"^## ", (ROOT / "docs" / "results.md").read_text(), flags=re.M):
        cells = re.findall(r"^\| (`.+?) \|", part, flags=re.M)
        named[re.split(r"[,\s]", part)[0]] = re.findall(r"`(\w+)`", " ".join(cells))
    assert named["worst.csv"] == worst_objects._COLUMNS.split()
    assert named["pictures.csv"] == [*CellMistakes._fields]
    assert named["objects.csv"]
    assert {*named["objects.csv"]} <= {*object_table._COLUMNS}
