from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentation.ffn import network as ffn
from stages import _contract, _models, _volumes, ffn_infer
from stages._contract import InputError, Stopped

NETWORK = ffn.Network(depth=2, features=2, fov=(5, 7, 7), deltas=(1, 2, 2))


@pytest.fixture
def inputs(tissue: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Inputs of `ffn-infer`, with a network whose weights are set by hand: the mask is where the image is bright."""
    model = ffn.build(NETWORK)
    named = {name: np.zeros_like(array) for name, array in ffn.weights(model).items()}
    named["seed_update/conv0_a/weights"][1, 1, 1, 0] = [1, -1]  # bright, dark
    named["seed_update/conv0_b/weights"][1, 1, 1] = np.eye(2)
    named["seed_update/conv_lom/weights"][0, 0, 0, :, 0] = [12, -12]
    _models.write_model(tmp_path / "model", NETWORK, named, 1)
    return {"image": tissue["image"], "model": tmp_path / "model", "statistics": tissue["statistics"]}


def truth(tissue: dict[str, Path]) -> np.ndarray:
    return _volumes.read_volume(tissue["labels"])[0]


def test_a_network_that_sees_the_tubes_finds_them(
    run_stage: Callable[..., Any], inputs: dict[str, Path], tissue: dict[str, Path]
) -> None:
    from skimage.metrics import adapted_rand_error

    result = run_stage("ffn-infer", inputs, min_segment_size=100)
    segmentation, place = _volumes.read_volume(result["segmentation"])
    assert segmentation.dtype == np.uint32
    assert place.voxel_size_xyz == (8, 8, 30)
    assert adapted_rand_error(truth(tissue), segmentation)[0] < 0.1

    folder = result["segmentation"].parent
    as_ffn = np.load(folder / "seg-0_0_0.npz", allow_pickle=False)
    np.testing.assert_array_equal(as_ffn["segmentation"], segmentation)
    qprob = np.load(folder / "seg-0_0_0.prob", allow_pickle=False)["qprob"]
    assert qprob.dtype == np.uint8
    assert ((qprob > 0) == (segmentation > 0)).all()
    with open(folder / "objects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(np.unique(segmentation[segmentation > 0]))
    for row in rows:
        assert segmentation[int(row["seed_z"]), int(row["seed_y"]), int(row["seed_x"])] == int(row["id"])
        assert int(row["voxels"]) == (segmentation == int(row["id"])).sum()
    assert result.reported("metric")[-2]["value"] == len(rows)


def test_reflection_reaches_the_border_and_without_it_a_rim_stays(
    run_stage: Callable[..., Any], inputs: dict[str, Path]
) -> None:
    with_it, without = (
        _volumes.read_volume(run_stage("ffn-infer", inputs, min_segment_size=100, reflect_border=on)["segmentation"])[0]
        for on in (True, False)
    )
    assert (with_it[4:16, 4:14, :3] > 0).mean() > 0.8
    assert (without[4:16, 4:14, 3:-3] > 0).mean() > 0.8


def test_a_box_is_that_part_of_the_volume_and_knows_its_place(
    run_stage: Callable[..., Any], inputs: dict[str, Path], tissue: dict[str, Path]
) -> None:
    box = {"start": [8, 2, 3], "size": [20, 14, 14]}
    result = run_stage("ffn-infer", inputs, box_xyz=box, min_segment_size=100)
    segmentation, place = _volumes.read_volume(result["segmentation"])
    assert segmentation.shape == (14, 14, 20)
    assert place.offset_xyz == (8, 2, 3)
    assert (result["segmentation"].parent / "seg-8_2_3.npz").exists()
    expected = truth(tissue)[3:17, 2:16, 8:28] == 1
    assert ((segmentation > 0) == expected).mean() > 0.95
    (row,) = csv.DictReader((result["segmentation"].parent / "objects.csv").read_text().splitlines())
    assert truth(tissue)[int(row["seed_z"]), int(row["seed_y"]), int(row["seed_x"])] == 1


def test_stopped_and_continued_is_undisturbed(inputs: dict[str, Path], tmp_path: Path) -> None:
    class Events:
        def __init__(self) -> None:
            self.lines: list[dict[str, Any]] = []

        def write(self, line: str) -> None:
            self.lines.append(json.loads(line))

        def flush(self) -> None:
            pass

    def infer(folder: Path, stop_after: int | None = None) -> list[dict[str, Any]]:
        events = Events()
        outputs = {"segmentation": str(folder / "segmentation.h5")}
        job = _contract.Job(
            stage="ffn-infer",
            params={},
            inputs={k: str(v) for k, v in inputs.items()},
            outputs=outputs,
            state=str(tmp_path / "state" / folder.name),
        )
        folder.mkdir(exist_ok=True)
        context = _contract.Context(job, events)  # type: ignore[arg-type]
        point = context.stop_point
        calls = 0

        def stop_point(save: Callable[[], None]) -> None:
            nonlocal calls
            calls += 1
            context.stop_requested = calls == stop_after
            point(save)

        context.stop_point = stop_point  # type: ignore[method-assign]
        ffn_infer.run(ffn_infer.Params.parse({"min_segment_size": 100}), context)
        return events.lines

    infer(tmp_path / "straight")
    stops = 0
    for stop_after in (120, 90, 60):
        try:
            infer(tmp_path / "stopped", stop_after)
        except Stopped:
            stops += 1
            assert not (tmp_path / "stopped" / "segmentation.h5").exists()
    assert stops >= 2
    lines = infer(tmp_path / "stopped")
    assert any("continuing at seed" in line.get("text", "") for line in lines)
    for name in ("seg-0_0_0.npz", "seg-0_0_0.prob"):
        one, other = (np.load(tmp_path / folder / name) for folder in ("straight", "stopped"))
        for key in one.files:
            np.testing.assert_array_equal(one[key], other[key])
    assert (tmp_path / "straight" / "objects.csv").read_text() == (tmp_path / "stopped" / "objects.csv").read_text()


def test_nothing_found_is_said(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    result = run_stage("ffn-infer", inputs, min_segment_size=10**6)
    assert not _volumes.read_volume(result["segmentation"])[0].any()
    assert any("no object of 1000000 voxels or more" in m["text"] for m in result.reported("message"))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"box_xyz": {"start": [30, 0, 0], "size": [20, 32, 20]}},
            r"box_xyz: start \[30, 0, 0\], size \[20, 32, 20\] does not lie inside .*image.h5, which has 40 x 32 x 20",
        ),
        ({"box_xyz": {"start": [-1, 0, 0], "size": [20, 32, 20]}}, "does not lie inside"),
        (
            {"box_xyz": {"start": [0, 0, 0], "size": [20, 6, 20]}, "reflect_border": False},
            r"20 x 6 x 20 voxels \(x, y, z\) is too small for the network's field of view of 7 x 7 x 5 .* reflect",
        ),
    ],
)
def test_boxes_that_do_not_fit(
    run_stage: Callable[..., Any], inputs: dict[str, Path], params: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run_stage("ffn-infer", inputs, **params)


def test_a_volume_smaller_than_the_field_of_view_is_refused(
    run_stage: Callable[..., Any], inputs: dict[str, Path]
) -> None:
    image, place = _volumes.read_volume(inputs["image"])
    _volumes.write_volume(inputs["image"], "image", image[:2], place)
    with pytest.raises(InputError, match=r"40 x 32 x 2 voxels .* is too small .* at least 4 x 4 x 3"):
        run_stage("ffn-infer", inputs)


def test_nan_in_the_volume_is_refused(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    image, place = _volumes.read_volume(inputs["image"])
    image = image.astype(np.float32)
    image[3, 4, 5] = np.nan
    _volumes.write_volume(inputs["image"], "image", image, place)
    with pytest.raises(InputError, match=r"image.h5: holds values that are not numbers"):
        run_stage("ffn-infer", inputs)


def test_a_folder_that_is_no_model_is_refused(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    weights = inputs["model"] / "weights.h5"
    weights.write_bytes(weights.read_bytes()[:300])
    with pytest.raises(InputError, match=r"model: is not a model that ffn-train wrote .*; name its model/ folder"):
        run_stage("ffn-infer", inputs)
    inputs["model"] = inputs["image"].parent
    with pytest.raises(InputError, match="is not a model that ffn-train wrote"):
        run_stage("ffn-infer", inputs)
