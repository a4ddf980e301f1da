"""`FFN.segment` gives what the stages give, voxel for voxel."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floodrunner
from floodrunner import InputError
from floodrunner.stages.storage.volumes import read_volume

SIZE = (8.0, 8.0, 30.0)
PARAMS = {"min_segment_size": 100}


def by_stages(run_stage: Callable[..., Any], image: Path, model: Path, **params: Any) -> dict[str, Any]:
    volume = run_stage("import-images", {"stack": image}, **params)["volume"]
    statistics = run_stage("statistics", {"volume": volume})["json"]
    inputs = {"image": volume, "model": model, "statistics": statistics}
    raw = run_stage("ffn-infer", inputs, **PARAMS)["segmentation"]
    filled = run_stage("fill", {"segmentation": raw}, max_distance=40.0)["segmentation"]
    with open(filled.parent / "objects.csv", newline="") as file:
        objects = list(csv.DictReader(file))
    return {"raw": read_volume(raw)[0], "filled": read_volume(filled)[0], "objects": objects}


def test_it_is_the_same_as_the_stages(
    run_stage: Callable[..., Any], inputs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = by_stages(run_stage, inputs["image"], inputs["model"])
    model = floodrunner.load(inputs["model"])
    assert isinstance(model, floodrunner.FFN)
    assert (model.fov_xyz, model.deltas_xyz, model.depth, model.features, model.step) == ((7, 7, 5), (2, 2, 1), 2, 2, 1)
    image = read_volume(inputs["image"])[0]
    capsys.readouterr()
    found = model.segment(image, SIZE, **PARAMS)
    told = capsys.readouterr().out
    assert "segment: done in" in told
    assert "/floodrunner-" not in told
    assert found.labels.dtype == np.int32
    assert found.labels.any()
    np.testing.assert_array_equal(found.labels, expected["filled"])
    assert (found.labels != expected["raw"]).any()
    assert [str(row["id"]) for row in found.objects] == [row["id"] for row in expected["objects"]]
    assert [row["voxels"] for row in found.objects] == [int((found.labels == row["id"]).sum()) for row in found.objects]
    assert found.objects[0]["volume_um3"] == pytest.approx(found.objects[0]["voxels"] * 8 * 8 * 30 / 1e9, rel=1e-4)
    assert (found.volume.voxel_size_xyz, found.offset_xyz) == (SIZE, (0, 0, 0))
    assert found.mean == pytest.approx(image.mean(), abs=0.01)

    unfilled = model.segment(floodrunner.read(inputs["image"]), fill=None, quiet=True, **PARAMS)
    np.testing.assert_array_equal(unfilled.labels, expected["raw"])
    assert unfilled.objects == []
    assert capsys.readouterr().out == ""


def test_a_box_and_given_statistics(inputs: dict[str, Path]) -> None:
    model = floodrunner.load(inputs["model"])
    assert isinstance(model, floodrunner.FFN)
    box = {"start": (4, 0, 2), "size": np.array([30, 32, 16]).tolist()}
    found = model.segment(inputs["image"], statistics=(100.0, 50.0), box_xyz=box, quiet=True, **PARAMS)
    assert found.labels.shape == (16, 32, 30)
    assert found.offset_xyz == (4, 0, 2)
    assert (found.mean, found.stddev) == (100, 50)


@pytest.mark.parametrize(
    ("factor", "convert", "params"),
    [
        (np.uint16(9), "percentiles", {"convert_16_bit": "percentiles"}),
        (np.uint16(200), "full_range", {"convert_16_bit": "full_range"}),
        (np.float32(0.1), "percentiles", {"convert_float": "percentiles"}),
        (0.1, (0, 30), {"convert_float": [0, 30]}),
    ],
)
def test_greys_of_other_types_are_converted_as_import_images_does(
    factor: Any,
    convert: Any,
    params: dict[str, Any],
    run_stage: Callable[..., Any],
    inputs: dict[str, Path],
    tmp_path: Path,
    uncompiled: None,
) -> None:
    image = read_volume(inputs["image"])[0] * factor
    floodrunner.write(tmp_path / "given.h5", image, SIZE)
    volume = run_stage("import-images", {"stack": tmp_path / "given.h5"}, **params)["volume"]
    expected = json.loads(run_stage("statistics", {"volume": volume})["json"].read_text())
    model = floodrunner.load(inputs["model"])
    assert isinstance(model, floodrunner.FFN)
    found = model.segment(image, SIZE, convert=convert, quiet=True)
    assert (found.mean, found.stddev) == (expected["mean"], expected["stddev"])
    assert not found.labels.any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"voxel_size_xyz": None},
            "voxel_size_xyz: is not known, and fill is in nm; give voxel_size_xyz, or fill=None",
        ),
        ({"voxel_size_xyz": (4, 4)}, r"voxel_size_xyz: found \[4, 4\]; write three numbers above 0"),
        ({"voxel_size_xyz": (4, 4, -1)}, "write three numbers above 0"),
        ({"dtype": np.uint16}, 'the array is uint16, not uint8; give convert="percentiles", or "full_range"'),
        ({"dtype": np.float64}, 'the array is float64, not uint8; give convert="percentiles", or convert='),
        ({"dtype": np.int64}, "the array is int64, not uint8; make it uint8"),
        ({"index": 0}, r"image: is an array of shape \(32, 40\); a volume is \(z, y, x\)"),
        ({"index": slice(0, 2)}, r"too small for the network's field of view"),
        ({"min_segment_siz": 3}, "unknown key 'min_segment_siz'; did you mean 'min_segment_size'"),
        ({"min_segment_size": "many"}, "min_segment_size: found 'many' .*; write a whole number"),
        ({"fill": -1.0}, "max_distance: found -1.0; write a number greater than 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    change: dict[str, Any], words: str, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from floodrunner.stages.resumable import ffn_inference

    monkeypatch.delattr(ffn_inference.Inference, "flood")  # it is said before the work begins
    model = floodrunner.load(inputs["model"])
    assert isinstance(model, floodrunner.FFN)
    given = {"voxel_size_xyz": SIZE} | change
    image = read_volume(inputs["image"])[0].astype(given.pop("dtype", np.uint8))[given.pop("index", ...)]
    with pytest.raises(InputError, match=words) as seen:
        model.segment(image, quiet=True, **given)
    assert "\n" not in str(seen.value)
    assert "/tmp" not in str(seen.value)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        floodrunner.load(tmp_path)
    (tmp_path / "network.json").write_text("{")
    with pytest.raises(InputError, match=r"network.json: is not JSON"):
        floodrunner.load(tmp_path)


def test_a_run_folder_is_enough(inputs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "runs" / "train").mkdir(parents=True)
    (tmp_path / "runs" / "train" / "model").symlink_to(inputs["model"])
    assert "fov_xyz [7, 7, 5]" in repr(floodrunner.load(tmp_path / "runs"))
