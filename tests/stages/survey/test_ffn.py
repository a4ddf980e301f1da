"""What a survey finds in stacks before days of training: all of it, in the words of the step that would stop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from floodrunner.contract.survey import Report
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options
from floodrunner.runner.survey.ask import planned_steps
from floodrunner.stages.ffn_train import Params as TrainParams
from floodrunner.stages.storage.places import Place
from floodrunner.stages.storage.volumes import write_volume
from floodrunner.stages.survey.look import survey
from tests.stages.survey.plans import planned, problems, remarks, sections, surveyed

SIZE = "image.voxel_size_xyz=[4, 4, 30]"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return sections(tmp_path / "images", 20)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return sections(tmp_path / "labels", 20, dtype=np.uint16)


def test_what_fits_has_no_problem_and_all_steps_have_a_cost(images: Path, labels: Path) -> None:
    report = surveyed("ffn", SIZE, images=images, labels=labels)
    assert report.problems == []
    assert list(report.costs) == [
        *("image", "truth", "statistics", "partitions", "coordinates", "train", "segment", "filled", "png", "score")
    ]
    assert all(cost.memory > 5e7 and cost.disk > 0 for cost in report.costs.values())


def test_what_auto_will_choose_is_told(images: Path, labels: Path) -> None:
    report = surveyed("ffn", SIZE, images=images, labels=labels)
    assert remarks(report, "partitions") == ["lom_radius_xyz is 24 24 6, because the stack has 20 sections"]
    (chosen,) = remarks(report, "train")
    assert chosen.startswith("fov_xyz is ")
    train = report.costs["train"].work
    assert train is not None
    assert (train.least, train.most, train.unit) == (1_000_000, 1_000_000, "steps")
    assert train.network is not None
    assert " ".join(map(str, reversed(train.network.shape[1:]))) in chosen


def test_all_that_is_wrong_is_found_at_once(tmp_path: Path, labels: Path) -> None:
    wide = sections(tmp_path / "16", 20, dtype=np.uint16)
    small = sections(tmp_path / "small", 20, side=32, dtype=np.uint16)
    sets = ["train.fov_xyz=[33, 33, 33]", "segment.box_xyz={start: [0, 0, 0], size: [65, 9, 9]}"]
    assert problems(surveyed("ffn", *sets, images=wide, labels=small)) == [
        "image: the sections are 16-bit grey, not 8-bit",
        "truth: 20 sections of 32 x 32 of labels, but 20 sections of 64 x 64 of images",
        "train: positions come within [24, 24, 6] voxels (x, y, z) of the border, but fov_xyz and deltas_xyz together "
        "reach [24, 24, 24]",
        "segment: start [0, 0, 0], size [65, 9, 9] does not lie inside image.volume, which has 64 x 64 x 20 voxels "
        "(x, y, z)",
    ]


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        (
            ["partitions.lom_radius_xyz=[24, 24, 24]"],
            "partitions: a box of 49 x 49 x 49 voxels (x, y, z",
        ),
        (
            ["coordinates.margin_xyz=[24, 24, 10]"],
            "coordinates: no voxel is 24 x 24 x 10 voxels (x, y, z) away from the border of a volume of 64 x 64 x 20, "
            "so there are no positions",
        ),
        (
            ["truth.voxel_size_xyz=[5, 5, 30]"],
            "truth: [5.0, 5.0, 30.0] is given, but the voxel size of the images is [4.0, 4.0, 30.0]",
        ),
    ],
)
def test_parameters_that_do_not_fit_the_stack(images: Path, labels: Path, sets: list[str], found: str) -> None:
    assert problems(surveyed("ffn", SIZE, *sets, images=images, labels=labels)) == [found]


def test_colours_and_a_wrong_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["labels"] = np.zeros((20, 64, 64), np.float32)
    colours = sections(tmp_path / "rgb", 20, channels=3)
    first, second = surveyed("ffn", images=colours, labels=f"{tmp_path}/v.h5:label").problems
    assert "the sections are 8-bit RGB, not grey; to convert them add convert_rgb: luminance" in first.text
    assert "has no dataset 'label'; it holds labels (20, 64, 64)" in second.text
    (float_labels,) = problems(surveyed("ffn", SIZE, images=sections(tmp_path / "i", 20), labels=tmp_path / "v.h5"))
    assert float_labels == "truth: the sections are 32-bit float grey"


def test_sections_that_are_not_the_same(images: Path, labels: Path) -> None:
    for z in range(19, -1, -1):
        (labels / f"z{z:03d}.png").rename(labels / f"z{z + 1:03d}.png")
    (found,) = problems(surveyed("ffn", SIZE, images=images, labels=labels))
    assert found == (
        "truth: labels and images do not match: section 0 is z001.png in the labels and z000.png in the images"
    )


def test_a_voxel_size_that_nobody_gives_is_told(images: Path, labels: Path) -> None:
    report = surveyed("ffn", images=images, labels=labels)
    assert report.problems == []
    assert any("the voxel size is not known" in text for text in remarks(report, "image"))


def test_positions_that_may_be_further_inside_stop_nothing(images: Path, labels: Path) -> None:
    sets = ["train.fov_xyz=[33, 33, 33]", "train.deltas_xyz=[8, 8, 8]", "coordinates.background=false"]
    report = surveyed("ffn", SIZE, *sets, images=images, labels=labels)
    assert report.problems == []
    assert any("positions come within" in text for text in remarks(report, "train"))


def test_finished_steps_are_read_from_their_files(tmp_path: Path, images: Path, labels: Path) -> None:
    """A box is checked against the volume that is there, not against what the inputs would make today."""
    write_volume(tmp_path / "volume.h5", "image", np.zeros((8, 40, 40), np.uint8), Place((4, 4, 30)))
    made = planned("ffn", SIZE, images=images, labels=labels)
    paths = {f"inputs.{name}": path for name, path in made.inputs.items()}
    paths["image.volume"] = str(tmp_path / "volume.h5")
    report = survey(planned_steps(made, ["image"]), paths)
    assert "image" not in report.costs
    assert problems(report) == ["truth: 20 sections of 64 x 64 of labels, but 8 sections of 40 x 40 of images"]


def test_a_stage_without_a_module_and_a_survey_that_breaks_are_silent(
    images: Path, labels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(params: object, look: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("floodrunner.stages.survey.import_images.survey", breaks)
    report = surveyed("ffn", SIZE, images=images, labels=labels)
    assert report.problems == []
    assert list(report.costs) == ["truth"]  # nothing is known of what the image step makes
    assert "KeyError: 'lost'" in capsys.readouterr().err


def test_the_speed_of_a_training_has_the_name_of_what_decides_it(images: Path, labels: Path) -> None:
    works = []
    for sets in ((), ("train.batch_size=8",), ("train.seed=2",)):
        work = surveyed("ffn", SIZE, *sets, images=images, labels=labels).costs["train"].work
        assert work is not None
        works.append(work)
    assert works[0].speed == works[2].speed != works[1].speed
    assert works[1].network is not None
    assert works[1].network.shape[0] == 8


def test_network_calls_follow_from_voxels_and_moves(images: Path, labels: Path) -> None:
    sets = ["train.fov_xyz=[9, 9, 9]", "train.deltas_xyz=[2, 2, 2]"]
    work = surveyed("ffn", SIZE, *sets, images=images, labels=labels).costs["segment"].work
    assert work is not None
    cells = 64 * 64 * 20 / 8
    assert (work.least, work.most) == (math.ceil(0.35 * cells), math.ceil(1.5 * cells))
    assert TrainParams.model_fields["depth"].default == work.network.settings["depth"]  # type: ignore[union-attr]


def given(tmp_path: Path, text: str, **inputs: Path) -> Report:
    """Surveys a pipeline of one's own."""
    (tmp_path / "p.yaml").write_text(text)
    options = Options(inputs=[f"{name}={path}" for name, path in inputs.items()])
    made = plan.make(spec.load(tmp_path / "p.yaml"), registry.scan(), tmp_path / "run", options)
    return survey(planned_steps(made, ()), {f"inputs.{name}": path for name, path in made.inputs.items()})


SEGMENT = """\
name: p
inputs: {image: {}, model: {}}
steps:
  segment:
    stage: ffn-infer
    in: {image: inputs.image, model: inputs.model}
    params: {image_mean: 128, image_stddev: 30, reflect_border: false}
"""


def test_a_model_and_a_volume_of_the_users_own(tmp_path: Path) -> None:
    volume, model = tmp_path / "v.h5", tmp_path / "model"
    write_volume(volume, "image", np.zeros((8, 40, 40), np.uint8), Place((4, 4, 30)))
    model.mkdir()
    (found,) = problems(given(tmp_path, SEGMENT, image=volume, model=volume))
    assert found.startswith("segment: not a model that ffn-train or ffn-import wrote")
    network = {"depth": 2, "features": 4, "fov_xyz": [9, 9, 9], "deltas_xyz": [2, 2, 2], "step": 7}
    (model / "network.json").write_text(json.dumps(network))
    (found,) = problems(given(tmp_path, SEGMENT, image=volume, model=model))
    assert found == (
        "segment: 40 x 40 x 8 voxels (x, y, z) is too small for the network's field of view of 9 x 9 x 9 voxels "
        "(x, y, z)"
    )


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.ckpt-5.index").touch()
    text = (
        "name: p\ninputs: {image: {}, checkpoint: {}}\nsteps:\n"
        "  model: {stage: ffn-import, in: {checkpoint: inputs.checkpoint}, "
        "params: {name: model.ckpt-7, fov_xyz: [33, 33, 17], deltas_xyz: [8, 8, 4]}}\n"
        "  segment: {stage: ffn-infer, in: {image: inputs.image, model: model.model}, "
        "params: {image_mean: 128, image_stddev: 30}}\n"
    )
    write_volume(tmp_path / "v.h5", "image", np.zeros((8, 40, 40), np.uint8), Place((4, 4, 30)))
    report = given(tmp_path, text, image=tmp_path / "v.h5", checkpoint=tmp_path / "checkpoint")
    assert problems(report) == [
        "model: holds no checkpoint model.ckpt-7",
        "segment: 40 x 40 x 8 voxels (x, y, z) is too small for the network's field of view of 33 x 33 x 17 voxels "
        "(x, y, z)",
    ]
