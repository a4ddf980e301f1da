"""All that can be refused is refused before anything starts, in words that say where, what was found, what to write."""

# ruff: noqa: E501  (a refusal a line)
from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import plan, registry, spec, yamlfile
from floodrunner.runner.pipeline.options import Options
from floodrunner.runner.pipeline.plan import Plan
from floodrunner.runner.pipeline.registry import Registry

STAGE = '''
"""Make a volume."""
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from floodrunner.contract.ports import VOXELS
from floodrunner.contract.stage import Context, StageParams

INPUTS = {inputs}
OUTPUTS = {outputs}

class Box(StageParams):
    start: VOXELS
    """Corner."""
    size: VOXELS
    """Size."""

class Params(StageParams):
    RENAMED: ClassVar[dict[str, str]] = {{"count": "max_steps"}}

    max_steps: int = Field(10, gt=0)
    """Steps."""
    rate: float = 1e-3
    """Rate."""
    upper: bool = False
    """Or lower."""
    title: str = "x"
    """Text."""
    box_xyz: Box | None = None
    """A box."""
    thresholds: list[float] = [0.5]
    """Some."""
    fov_xyz: VOXELS = (33, 33, 17)
    """Field of view."""
    mode: Literal["fast", "exact"] = "fast"
    """Which."""
    workers: int | Literal["auto"] = "auto"
    """How many."""

    @model_validator(mode="after")
    def _odd(self) -> "Params":
        if self.fov_xyz[0] % 2 == 0:
            raise ValueError(f"fov_xyz {{list(self.fov_xyz)}}: x is even; write an odd number")
        return self

def run(params: Params, context: Context) -> None:
    raise NotImplementedError
'''

PIPELINE = """\
name: demo
inputs:
  images: {path: images, help: the sections}
  extra: {}
steps:
  image: {stage: make-image, in: {stack: inputs.images}}
  train:
    stage: make-labels
    gpu: true
    in: {image: image.volume}
    params:
      max_steps: 5
      rate: 1e-2
"""


@pytest.fixture
def stages(tmp_path: Path) -> Registry:
    folder = tmp_path / "code" / "stages"
    folder.mkdir(parents=True)
    ports = {
        "make_image": ({"stack": "stack"}, {"volume": "image"}),
        "make_labels": ({"image": "image", "mask": "labels|partitions?"}, {"volume": "labels", "report": "metrics"}),
    }
    for name, (inputs, outputs) in ports.items():
        text = STAGE.replace("{inputs}", repr(inputs)).replace("{outputs}", repr(outputs))
        (folder / f"{name}.py").write_text(text.replace("{{", "{").replace("}}", "}"))
    return registry.scan(folder)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    (work / "images").mkdir(parents=True)
    (work / "images" / "z0.png").write_bytes(b"x")
    (work / "none").mkdir()
    (work / "nothing.h5").write_bytes(b"")
    monkeypatch.chdir(work)  # what relative paths are relative to
    return work


def test_parameters_that_do_not_fit_the_ports_are_refused_with_their_line(stages: Registry) -> None:
    module = stages.files["make-labels"]
    module.write_text(
        module.read_text().replace(
            "def run(",
            "    def check_ports(self, connected):\n"
            '        if self.workers == 3 and "mask" not in connected:\n'
            '            raise ValueError("workers need a mask; connect one")\n\n'
            "def run(",
        )
    )
    alone = PIPELINE.replace("max_steps: 5", "workers: 3")
    with pytest.raises(UserError, match=r"^p.yaml:7: step train: workers need a mask; connect one$"):
        make(stages, alone)
    make(stages, PIPELINE)
    make(stages, alone.replace("in: {image: image.volume}", "in: {image: image.volume, mask: inputs.images}"))


def make(stages: Registry, text: str = PIPELINE, **options: object) -> Plan:
    pipeline = spec.read(yamlfile.parse(textwrap.dedent(text).encode(), "p.yaml"))
    return plan.make(pipeline, stages, Path("runs/demo"), Options(**options))  # type: ignore[arg-type]


def test_jobs(stages: Registry, folder: Path) -> None:
    planned = make(stages, sets=["train.fov_xyz=[9, 9, 5]", "train.rate=0.1"])
    image, train = (planned.job(step) for step in planned.steps)
    assert image.inputs == {"stack": str(folder / "images")}
    assert image.outputs == {"volume": str(folder / "runs/demo/image/partial/volume.h5")}
    assert train.inputs == {"image": str(folder / "runs/demo/image/volume.h5")}
    assert train.outputs["report"] == str(folder / "runs/demo/train/partial/report.json")
    assert (image.options.gpu, train.options.gpu) == (False, True)
    assert train.params == {
        "max_steps": 5,
        "rate": 0.1,
        "upper": False,
        "title": "x",
        "box_xyz": None,
        "thresholds": [0.5],
        "fov_xyz": [9, 9, 5],
        "mode": "fast",
        "workers": "auto",
    }
    assert not (folder / "runs").exists()  # planning leaves no trace


def test_an_input_from_the_command_line_may_carry_a_dataset(stages: Registry, folder: Path) -> None:
    (folder / "i.h5").write_bytes(b"x")
    assert make(stages, inputs=["images=i.h5@raw"]).inputs == {"images": f"{folder}/i.h5:raw"}


def test_an_input_is_found_below_the_home_folder(
    stages: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert make(stages, inputs=["images=~/images"]).inputs == {"images": str(folder / "images")}


def test_force_and_from(stages: Registry) -> None:
    assert [step.again for step in make(stages, force=["image"]).steps] == ["forced", ""]
    assert [step.again for step in make(stages, start="train").steps] == ["", "from"]
    assert [step.again for step in make(stages, start="image", force=["train"]).steps] == ["from", "forced"]


def edited(old: str, new: str) -> str:
    assert old in PIPELINE
    return PIPELINE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited("gpu:", "gpus:"), "p.yaml:9: step train: gpus: unknown key 'gpus'; did you mean 'gpu'?"),
        (edited("gpu: true", "gpu: yes"), "p.yaml:9: step train: gpu: found 'yes' (text); write true or false (here: true)"),
        (edited("gpu: true", "gpu: 1"), "p.yaml:9: step train: gpu: found 1; write true or false"),
        (edited("gpu: true", "memory_gb: 0"), "p.yaml:9: step train: memory_gb: found 0; write a number of at least 0.1"),
        (edited("gpu: true", "memory_gb: 8 GB"), "p.yaml:9: step train: memory_gb: found '8 GB' (text); write a number"),
        (edited("gpu: true", "processes: 2.5"), "p.yaml:9: step train: processes: found 2.5; write a whole number"),
        (edited("name: demo", "nme: demo"), "p.yaml:1: nme: unknown key 'nme'; did you mean 'name'?"),
        (edited("name: demo\n", ""), "p.yaml:1: 'name' is missing; write name: ..."),
        (edited("name: demo", "name: 2024"), "p.yaml:1: name: found 2024; write text, in quotes"),
        (
            edited("name: demo", "name: ../x"),
            "p.yaml:1: the pipeline cannot be named '../x'; use letters, digits, '-', '_' and '.', starting with a letter or digit",
        ),
        (
            edited("  train:", "  Train:"),
            "p.yaml:7: a step cannot be named 'Train'; use lower-case letters, digits, '-' and '_', starting with a letter",
        ),
        (
            edited("  train:", "  inputs:"),
            "p.yaml:7: a step cannot be named 'inputs', because inputs.<name> means the pipeline's input; rename the step",
        ),
        (edited("path: images", "paht: images"), "p.yaml:3: input images: paht: unknown key 'paht'; did you mean 'path'?"),
        (edited("{path: images, help: the sections}", "data/images"), "p.yaml:3: input images: found 'data/images' (text); write {path: data/images}"),
        (edited("path: images", "path: 3"), "p.yaml:3: input images: path: found 3; write text, in quotes"),
        (edited("stage: make-labels", "stage: make-label"), "p.yaml:8: step train: unknown stage 'make-label'; "
         "did you mean 'make-labels'?"),
        (edited("    stage: make-labels\n", ""), "p.yaml:7: step train: 'stage' is missing; write stage: ..."),
        (
            edited("{image: image.volume}", "{imge: image.volume}"),
            "p.yaml:10: step train: in.imge: stage make-labels has no input port 'imge'; did you mean 'image'?",
        ),
        (
            edited("{image: image.volume}", "{}"),
            "p.yaml:7: step train: input port 'image' of stage make-labels is not connected; write image: inputs.<name> "
            "or <earlier step>.<port> under 'in', such as image.volume",
        ),
        (
            edited("{image: image.volume}", "{image: image.volum}"),
            "p.yaml:10: step train: in.image: step 'image' has no output 'volum'; did you mean 'volume'?",
        ),
        (
            edited("{image: image.volume}", "{image: imag.volume}"),
            "p.yaml:10: step train: in.image: there is no step 'imag'; did you mean 'image'?",
        ),
        (
            edited("{image: image.volume}", "{image: image}"),
            "p.yaml:10: step train: in.image: found 'image'; write inputs.<name> or <earlier step>.<port>; "
            "choose 'image.volume'",
        ),
        (
            edited("{stack: inputs.images}", "{stack: inputs.image}"),
            "p.yaml:6: step image: in.stack: the pipeline has no input 'image'; did you mean 'images'?",
        ),
        (
            edited("{stack: inputs.images}", "{stack: train.report}"),
            "p.yaml:6: step image: in.stack: step 'train' comes later; move that step up: steps run in the order written",
        ),
        (
            edited("{stack: inputs.images}", "{stack: image.volume}"),
            "p.yaml:6: step image: in.stack: a step cannot read its own output; connect the output of an earlier step",
        ),
        (
            edited("{image: image.volume}", "{image: image.volume, mask: image.volume}"),
            "p.yaml:10: step train: in.mask: image.volume is of kind 'image', the port takes 'labels' or 'partitions'; "
            "no earlier step makes that kind: add such a step",
        ),
        (
            PIPELINE + "  more: {stage: make-labels, in: {image: train.volume}}\n",
            "p.yaml:14: step more: in.image: train.volume is of kind 'labels', the port takes 'image'; "
            "connect image.volume",
        ),
        (
            edited("max_steps: 5", "max_step: 5"),
            "p.yaml:12: step train: unknown parameter 'max_step' of stage make-labels; did you mean 'max_steps'?",
        ),
        (edited("max_steps: 5", "count: 5"), "p.yaml:12: step train: count was renamed; write max_steps"),
        (edited("max_steps: 5", "max_steps: lots"), "p.yaml:12: step train: max_steps: found 'lots' (text); "
         "write a whole number"),
        (edited("max_steps: 5", "max_steps: 1e6"), "p.yaml:12: step train: max_steps: found 1e6; write a whole number "
         "(here: 1000000)"),
        (edited("max_steps: 5", "max_steps: 1:30"), "p.yaml:12: step train: max_steps: found '1:30' (text); "
         "write a whole number (here: 90)"),
        (edited("max_steps: 5", "max_steps: 010"), "p.yaml:12: step train: max_steps: found '010' (text); "
         "write a whole number (here: 10, or 8 if it is octal)"),
        (edited("max_steps: 5", "max_steps: 1_000"), "found '1_000' (text); write a whole number (here: 1000)"),
        (edited("max_steps: 5", "max_steps: '7'"), "found '7' (text); write a whole number (here: 7)"),
        (edited("max_steps: 5", "max_steps: 2.5"), "p.yaml:12: step train: max_steps: found 2.5; write a whole number"),
        (edited("max_steps: 5", "max_steps: true"), "found true (true or false); write a whole number"),
        (edited("max_steps: 5", "max_steps:"), "p.yaml:12: step train: max_steps: found nothing (null); "
         "write a whole number"),
        (edited("max_steps: 5", "max_steps: 0"), "max_steps: found 0; write a number greater than 0"),
        (edited("rate: 1e-2", "rate: 0,5"), "rate: found '0,5' (text); write a number (here: 0.5)"),
        (edited("rate: 1e-2", "rate: 40 nm"), "rate: found '40 nm' (text); write a number (here: 40)"),
        (edited("rate: 1e-2", "rate: .inf"), "p.yaml:13: step train: rate: found '.inf' (text); write a number"),
        (edited("rate: 1e-2", "rate: .nan"), "p.yaml:13: step train: rate: found '.nan' (text); write a number"),
        (edited("rate: 1e-2", "upper: on"), "upper: found 'on' (text); write true or false (here: true)"),
        (edited("rate: 1e-2", "upper: No"), "upper: found 'No' (text); write true or false (here: false)"),
        (edited("rate: 1e-2", "title: 1.0"), "title: found 1.0; write text, in quotes"),
        (edited("rate: 1e-2", "title: true"), "title: found true (true or false); write text, in quotes"),
        (edited("rate: 1e-2", "thresholds: 0.5"), "thresholds: found 0.5; write a list"),
        (edited("rate: 1e-2", "thresholds: [0.1, x]"), "p.yaml:13: step train: thresholds[1]: found 'x' (text); "
         "write a number"),
        (edited("rate: 1e-2", "fov_xyz: [33, 33]"), "fov_xyz: found a list of 2; write a list of 3"),
        (edited("rate: 1e-2", "fov_xyz: [33, 33, 3, 3]"), "fov_xyz: found a list of 4; write a list of 3"),
        (edited("rate: 1e-2", "fov_xyz: 33"), "fov_xyz: found 33; write a list"),
        (edited("rate: 1e-2", "fov_xyz: [32, 33, 17]"), "p.yaml:11: step train: fov_xyz [32, 33, 17]: x is even; "
         "write an odd number"),
        (edited("rate: 1e-2", "mode: quick"), "mode: found 'quick' (text); write 'fast' or 'exact'"),
        (edited("rate: 1e-2", "workers: many"), "workers: found 'many' (text); write a whole number or 'auto'"),
        (edited("rate: 1e-2", "box_xyz: {start: [0, 0, 0], siz: [1, 1, 1]}"),
         "p.yaml:13: step train: box_xyz.siz: unknown key 'siz'; did you mean 'size'?"),
        (edited("rate: 1e-2", "box_xyz: {start: [0, 0, 0]}"), "box_xyz: 'size' is missing; write size: ..."),
        (edited("rate: 1e-2", "box_xyz:\n        start: [0, 0, 0]\n        size: [1, b, 1]"),
         "p.yaml:15: step train: box_xyz.size[1]: found 'b' (text); write a whole number"),
        (edited("rate: 1e-2", "box_xyz: 3"), "box_xyz: found 3; write a mapping (key: value)"),
        (edited("    params:\n      max_steps: 5\n      rate: 1e-2\n", "    params:\n"),
         "p.yaml:11: step train: params: found nothing (null); write a mapping (key: value)"),
        ("- a\n", "p.yaml:1: a pipeline is a mapping; write name: ..., inputs: ... and steps: ..."),
        ("name: x\nsteps: {}\n", "p.yaml:2: the pipeline has no steps; write at least one"),
        ("name: x\nsteps:\n", "p.yaml:2: steps: found nothing (null); write a mapping (key: value)"),
        (edited("{path: images, help: the sections}", "{}"),
         "p.yaml:3: input images: has no path; say where it is with --input images=PATH"),
        (edited("path: images", "path: imags"), "p.yaml:3: input images (the sections): imags does not exist (seen "
         "from the current folder, {work}); say where it is with --input images=PATH"),
        (edited("path: images", "path: none"), "p.yaml:3: input images (the sections): the folder none is empty; "
         "put the files there, or use --input images=PATH"),
        (edited("path: images", "path: nothing.h5"), "p.yaml:3: input images (the sections): the file nothing.h5 is "
         "empty; copy it again from its source"),
        (edited("path: images", "path: C:\\data\\images"), "C:\\data\\images does not exist (seen from the current "
         "folder, {work}); this is a Windows path; under WSL write /mnt/c/data/images"),
        (edited("path: images", "path: ."), "p.yaml:3: input images: the folder . holds the run folder runs/demo; "
         "choose another run folder with --workdir"),
    ],
)  # fmt: skip
def test_refused(stages: Registry, folder: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        make(stages, text)
    assert message.replace("{work}", str(folder)) in str(error.value)
    assert str(error.value).startswith("p.yaml:")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "long",
    [
        "x" * 1000,
        f"'{'{' * 1000}'",
        f"{'x' * 500}.{'y' * 500}",
        f"&{'x' * 1000} 1",
        f"!{'x' * 1000} 1",
        f"*{'x' * 1000}",
        "1" + "0" * 1000,
    ],
    ids=["word", "braces", "source", "anchor", "tag", "alias", "number"],
)
@pytest.mark.parametrize(
    "word",
    [
        "demo",
        "images:",
        "train:",
        "gpu:",
        "true",
        "make-image",
        "image.volume",
        "inputs.images",
        "{image:",
        "max_steps:",
        "5",
        "1e-2",
    ],
)
def test_of_a_long_word_the_beginning_is_told(stages: Registry, word: str, long: str) -> None:
    before, after = "{" * word.startswith("{"), ":" * word.endswith(":")
    said = ""
    try:
        make(stages, edited(word, f"{before}{long}{after}"))
    except UserError as error:
        said = str(error)
    assert len(said) < 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": ["train.max_steps=lots"]}, "--set train.max_steps=lots: max_steps: found 'lots' (text); "
         "write a whole number"),
        ({"sets": ["train.max_steps=1e6"]}, "--set train.max_steps=1e6: max_steps: found 1e6; write a whole number "
         "(here: 1000000)"),
        ({"sets": ["train.upper=on"]}, "--set train.upper=on: upper: found 'on' (text); write true or false (here: true)"),
        ({"sets": ["train.max_step=1"]}, "--set train.max_step=1: unknown parameter 'max_step' of stage make-labels; "
         "did you mean 'max_steps'?"),
        ({"sets": ["train.count=1"]}, "--set train.count=1: count was renamed; write max_steps"),
        ({"sets": ["tran.max_steps=1"]}, "--set tran.max_steps=1: there is no step 'tran'; did you mean 'train'?"),
        ({"sets": ["train.gpu=true"]}, "--set train.gpu=true: unknown parameter 'gpu' of stage make-labels; gpu is written beside params, not inside"),
        ({"sets": ["max_steps=1"]}, "--set max_steps=1: write --set STEP.PARAMETER=VALUE, such as --set train.max_steps=1"),
        ({"sets": ["train.max_steps"]}, "--set train.max_steps: write --set STEP.PARAMETER=VALUE"),
        ({"sets": ["train.max_steps="]}, "--set train.max_steps=: has no value; write a value after the =, or null for no value"),
        ({"sets": ["train.rate=1", "train.rate=2"]}, "--set train.rate=2: train.rate is set twice; remove one"),
        ({"sets": ["train.box_xyz.start=[0, 0, 0]"]}, "--set train.box_xyz.start=[0, 0, 0]: set 'box_xyz' as a whole: "
         "--set 'train.box_xyz={key: value, ...}'"),
        ({"sets": ["train.box_xyz={start: [0, 0, 0], size: [1, 1]}"]}, "--set train.box_xyz={start: [0, 0, 0], "
         "size: [1, 1]}: box_xyz.size: found a list of 2; write a list of 3"),
        ({"inputs": ["image=images"]}, "--input image=images: the pipeline has no input 'image'; did you mean 'images'?"),
        ({"inputs": ["images"]}, "--input images: write --input NAME=PATH, such as --input images=data/images"),
        ({"inputs": ["images="]}, "--input images=: write --input NAME=PATH"),
        ({"inputs": ["images=a", "images=b"]}, "--input images=b: images is given twice; remove one"),
        ({"inputs": ["images=nowhere"]}, "--input images=nowhere (the sections): nowhere does not exist"),
        ({"inputs": ["images=/nowhere"]}, "--input images=/nowhere (the sections): /nowhere does not exist; say where"),
        ({"inputs": ["images=/dev/null"]}, "/dev/null is neither a file nor a folder; name a file or a folder"),
        ({"force": ["trian"]}, "--force trian: there is no step 'trian'; did you mean 'train'?"),
        ({"start": "trian"}, "--from trian: there is no step 'trian'; did you mean 'train'?"),
    ],
)  # fmt: skip
def test_options_refused(stages: Registry, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        make(stages, **options)
    assert str(error.value).startswith(message) or message.startswith("/dev")
    assert message in str(error.value)


def test_a_name_that_is_no_text_is_refused(stages: Registry, folder: Path) -> None:
    name = os.fsdecode(b"im\xff")
    (folder / name).mkdir()
    with pytest.raises(UserError, match=r"the path b'.*im\\xff' is not UTF-8; rename the folder or file"):
        make(stages, inputs=[f"images={name}"])


def test_an_input_that_no_step_uses_needs_no_path(stages: Registry) -> None:
    assert set(make(stages).inputs) == {"images"}  # `extra` has none


def test_a_set_value_takes_the_place_of_a_wrong_one_in_the_file(stages: Registry) -> None:
    planned = make(stages, edited("max_steps: 5", "max_steps: lots"), sets=["train.max_steps=7"])
    assert planned.steps[1].params["max_steps"] == 7
