from __future__ import annotations

import contextlib
import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract import stage
from floodrunner.contract.job import Job
from floodrunner.contract.stage import Context, InputError, Stopped
from floodrunner.segmentation.ffn import network as ffn
from floodrunner.stages import ffn_infer
from floodrunner.stages.resumable import ffn_inference
from floodrunner.stages.resumable.ffn_inference import STATE_FILE
from floodrunner.stages.storage import ffn_models, volumes
from tests.stages.resumable.stub import Events, Killed

NETWORK = ffn.NetworkSpec(depth=2, features=2, fov=(5, 7, 7), deltas=(1, 2, 2))


@pytest.fixture
def inputs(tissue: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Inputs of `ffn-infer`, with a network whose weights are set by hand: the mask is where the image is bright."""
    model = ffn.build(NETWORK)
    named = {name: np.zeros_like(array) for name, array in ffn.weights(model).items()}
    named["seed_update/conv0_a/weights"][1, 1, 1, 0] = [1, -1]  # bright, dark
    named["seed_update/conv0_b/weights"][1, 1, 1] = np.eye(2)
    named["seed_update/conv_lom/weights"][0, 0, 0, :, 0] = [12, -12]
    ffn_models.write_model(tmp_path / "model", NETWORK, named, 1)
    return {"image": tissue["image"], "model": tmp_path / "model", "statistics": tissue["statistics"]}


def truth(tissue: dict[str, Path]) -> np.ndarray:
    return volumes.read_volume(tissue["labels"])[0]


def test_a_network_that_sees_the_tubes_finds_them(
    run_stage: Callable[..., Any], inputs: dict[str, Path], tissue: dict[str, Path]
) -> None:
    from skimage.metrics import adapted_rand_error

    result = run_stage("ffn-infer", inputs, min_segment_size=100)
    segmentation, place = volumes.read_volume(result["segmentation"])
    assert segmentation.dtype == np.uint32
    assert place.voxel_size_xyz == (8, 8, 30)
    assert adapted_rand_error(truth(tissue), segmentation)[0] < 0.1

    folder = result["segmentation"].parent
    as_ffn = np.load(folder / "seg-0_0_0.npz", allow_pickle=False)
    np.testing.assert_array_equal(as_ffn["segmentation"], segmentation)
    qprob = np.load(folder / "seg-0_0_0.prob", allow_pickle=False)["qprob"]
    assert qprob.dtype == np.uint8
    assert ((qprob > 0) == (segmentation > 0)).all()
    with open(folder / "origins.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(np.unique(segmentation[segmentation > 0]))
    for row in rows:
        assert segmentation[int(row["seed_z"]), int(row["seed_y"]), int(row["seed_x"])] == int(row["id"])
        assert int(row["voxels"]) == (segmentation == int(row["id"])).sum()
    assert result.reported("metric")[-2]["value"] == len(rows)
    with open(folder / "times.csv", newline="") as file:
        times = list(csv.DictReader(file))
    assert [row["id"] for row in times] == [row["id"] for row in rows]
    assert all(float(row["seconds"]) > 0 for row in times)


def test_google_ffns_files_are_as_it_writes_them(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    """Same names, axes and types; nothing in them has to be unpickled."""
    folder = run_stage("ffn-infer", inputs, min_segment_size=100)["segmentation"].parent
    with zipfile.ZipFile(folder / "seg-0_0_0.npz") as archive:
        assert archive.namelist() == ["segmentation.npy"]
    segmentation = np.load(folder / "seg-0_0_0.npz", allow_pickle=False)["segmentation"]
    assert segmentation.dtype == np.uint8  # the smallest that holds all ids
    assert segmentation.shape == (20, 32, 40)
    with zipfile.ZipFile(folder / "seg-0_0_0.prob") as archive:
        assert archive.namelist() == ["qprob.npy"]


def test_mean_and_standard_deviation_may_be_given(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    measured = json.loads(inputs["statistics"].read_text())
    with_port = run_stage("ffn-infer", inputs, min_segment_size=100)["segmentation"].parent
    del inputs["statistics"]
    given = {"image_mean": measured["mean"], "image_stddev": measured["stddev"]}
    without = run_stage("ffn-infer", inputs, min_segment_size=100, **given)["segmentation"].parent
    same_results(with_port, without)
    darker = {"image_mean": measured["mean"] + 100, "image_stddev": measured["stddev"]}
    other = run_stage("ffn-infer", inputs, min_segment_size=100, **darker)["segmentation"]
    assert not volumes.read_volume(other)[0].any()


SETTINGS = {"box_xyz": {"start": [8, 2, 3], "size": [20, 14, 14]}, "min_segment_size": 100}


@pytest.mark.parametrize(("mean", "stddev"), [(30000.0, 5000.0), (0.45, 0.2), (-3.0, 50.0)])
def test_a_mean_that_the_image_cannot_have_is_refused(
    run_stage: Callable[..., Any], inputs: dict[str, Path], mean: float, stddev: float
) -> None:
    """Statistics of 16 bits or of 0 to 1, for an image of 8 bits: all voxels would look alike to the network."""
    inputs["statistics"].write_text(json.dumps({"mean": mean, "stddev": stddev}))
    with pytest.raises(InputError) as error:
        run_stage("ffn-infer", inputs)
    image = volumes.read_volume(inputs["image"])[0]
    assert str(error.value) == (
        f"{inputs['image']}: the image is normalised with mean {mean:g} and standard deviation {stddev:g}, but it has "
        f"{image.mean():g} and {image.std():g} (values {image.min()} to {image.max()}); use the statistics of these "
        "images (the stage statistics), with as many bits as they have"
    )
    result = run_stage("ffn-infer", inputs, **SETTINGS)  # a box may be blank, so this is said only
    assert "but this box has " in result.reported("message")[0]["text"]


@pytest.mark.parametrize("factor", [5, 1 / 5])
def test_another_contrast_is_said(
    run_stage: Callable[..., Any], inputs: dict[str, Path], factor: float, uncompiled: None
) -> None:
    measured = json.loads(inputs["statistics"].read_text())
    assert not [e for e in run_stage("ffn-infer", inputs, **SETTINGS).reported("message") if "normalised" in e["text"]]
    inputs["statistics"].write_text(json.dumps(measured | {"stddev": measured["stddev"] * factor}))
    text = run_stage("ffn-infer", inputs, **SETTINGS).reported("message")[0]["text"]
    assert f"standard deviation {measured['stddev'] * factor:g}, but this box has " in text
    assert "if little is found or learned, use the statistics of these images" in text


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float64, ">u2"])
def test_an_image_of_any_type_gives_the_same(
    run_stage: Callable[..., Any], inputs: dict[str, Path], tmp_path: Path, dtype: Any
) -> None:
    """The user's own file, named with its dataset: its statistics are its own."""
    expected = run_stage("ffn-infer", inputs, **SETTINGS)["segmentation"]
    image, _ = volumes.read_volume(inputs["image"])
    measured = json.loads(inputs["statistics"].read_text())
    shift, scale = (-100, 1) if dtype is np.int16 else (0, 4)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["raw"] = ((image.astype(np.int64) + shift) * scale).astype(dtype)
        file["other"] = np.zeros((3, 3, 3))
    inputs["image"] = f"{tmp_path / 'own.h5'}:raw"
    given = {"image_mean": (measured["mean"] + shift) * scale, "image_stddev": measured["stddev"] * scale}
    del inputs["statistics"]
    result = run_stage("ffn-infer", inputs, **SETTINGS, **given)["segmentation"]
    np.testing.assert_array_equal(volumes.read_volume(result)[0], volumes.read_volume(expected)[0])


@pytest.mark.parametrize("dtype", [np.complex64, "S3"])
def test_what_is_no_grey_value_is_refused(
    run_stage: Callable[..., Any], inputs: dict[str, Path], tmp_path: Path, dtype: Any
) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["raw"] = np.zeros((20, 32, 40), dtype)
    with pytest.raises(InputError, match=r"own\.h5: dataset /raw holds .*, not grey values or labels; save it as"):
        run_stage("ffn-infer", {**inputs, "image": tmp_path / "own.h5"})


@pytest.mark.parametrize(
    ("params", "connected", "words"),
    [
        ({}, set(), "no normalisation of the image was given; connect statistics, or give image_mean and image_stddev"),
        ({"image_mean": 1.0}, {"statistics"}, "image_mean and image_stddev go together; give both, or connect stat"),
        (
            {"image_mean": 1.0, "image_stddev": 2.0},
            {"statistics"},
            "statistics is connected too; remove the two parameters or the connection",
        ),
    ],
)
def test_how_to_normalise_is_said_once(params: dict[str, float], connected: set[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ffn_infer.Params.parse(params).check_ports({"image", "model", *connected})


def test_progress_counts_seeds_that_need_no_object(
    run_stage: Callable[..., Any], inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects, share claimed and fields of view per second; progress never goes back, and ends with all seeds."""
    monkeypatch.setattr(ffn_inference, "_REPORT_INTERVAL_S", 0)
    monkeypatch.setattr(stage, "_PROGRESS_INTERVAL_S", 0)
    result = run_stage("ffn-infer", inputs, min_segment_size=100)
    progress = result.reported("progress")
    done = [event["done"] for event in progress]
    assert done == sorted(done)
    assert done[-1] == progress[-1]["total"]
    tried = [e["step"] for e in result.reported("metric") if e["name"] == "objects" and "step" in e]
    # Beyond those tried, which is told in the same breath, seeds count that an object has reached.
    assert sum(a > b for a, b in zip(done, tried, strict=True)) > 10
    share = [event["value"] for event in result.reported("metric") if event["name"] == "share_claimed"]
    assert share == sorted(share)
    assert share[-1] == result.reported("metric")[-1]["value"] > 0.3


def test_reflection_reaches_the_border_and_without_it_a_rim_stays(
    run_stage: Callable[..., Any], inputs: dict[str, Path]
) -> None:
    with_it, without = (
        volumes.read_volume(run_stage("ffn-infer", inputs, min_segment_size=100, reflect_border=on)["segmentation"])[0]
        for on in (True, False)
    )
    rim, inner = (slice(4, 16), slice(4, 14), slice(0, 3)), (slice(4, 16), slice(4, 14), slice(3, -3))
    assert (with_it[rim] > 0).mean() > (without[rim] > 0).mean() + 0.1
    assert (with_it[rim] > 0).mean() > 0.8
    assert (without[inner] > 0).mean() > 0.8


def test_a_box_is_that_part_of_the_volume_and_knows_its_place(
    run_stage: Callable[..., Any], inputs: dict[str, Path], tissue: dict[str, Path]
) -> None:
    box = {"start": [8, 2, 3], "size": [20, 14, 14]}
    result = run_stage("ffn-infer", inputs, box_xyz=box, min_segment_size=100)
    segmentation, place = volumes.read_volume(result["segmentation"])
    assert segmentation.shape == (14, 14, 20)
    assert place.offset_xyz == (8, 2, 3)
    assert (result["segmentation"].parent / "seg-8_2_3.npz").exists()
    expected = truth(tissue)[3:17, 2:16, 8:28] == 1
    assert ((segmentation > 0) == expected).mean() > 0.95
    (row,) = csv.DictReader((result["segmentation"].parent / "origins.csv").read_text().splitlines())
    assert truth(tissue)[int(row["seed_z"]), int(row["seed_y"]), int(row["seed_x"])] == 1


class Left(Exception):
    """Ends a run of which enough was seen."""


def infer(
    inputs: dict[str, Path],
    folder: Path,
    cut: Callable[[int, Callable[[], None]], None] | None = None,
    program: str = "",
    **params: Any,
) -> list[str]:
    """Runs the stage; `cut(n, save)` is called in place of the n-th stop point. Returns its messages."""
    job = Job(
        step="this-step",
        stage="ffn-infer",
        params={},
        inputs={k: str(v) for k, v in inputs.items()},
        outputs={"segmentation": str(folder / "segmentation.h5")},
        state=str(folder / "state"),
        program=program,
    )
    folder.mkdir(exist_ok=True)
    events = Events()
    context = Context(job, events)  # type: ignore[arg-type]
    points = 0

    def stop_point(save: Callable[[], None]) -> None:
        nonlocal points
        points += 1
        if cut is not None:
            cut(points, save)

    context.stop_point = stop_point  # type: ignore[method-assign]
    with contextlib.suppress(Left):
        ffn_infer.run(ffn_infer.Params.parse({"min_segment_size": 100, **params}), context)
    return [line["text"] for line in events.lines if line["event"] == "message"]


def same_results(a: Path, b: Path) -> None:
    for name in ("seg-0_0_0.npz", "seg-0_0_0.prob", "segmentation.h5", "origins.csv", "overlaps.csv"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    for name in ("seg-0_0_0.npz", "seg-0_0_0.prob"):  # else the same only when written within two seconds
        with zipfile.ZipFile(a / name) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_stopped_and_continued_is_undisturbed(inputs: dict[str, Path], tmp_path: Path) -> None:
    def stop_at(last: int) -> Callable[[int, Callable[[], None]], None]:
        def cut(point: int, save: Callable[[], None]) -> None:
            if point == last:
                save()
                raise Stopped

        return cut

    infer(inputs, tmp_path / "straight")
    stops = 0
    for last in (120, 90, 60):
        try:
            infer(inputs, tmp_path / "stopped", stop_at(last))
        except Stopped:
            stops += 1
            assert not (tmp_path / "stopped" / "segmentation.h5").exists()
    assert stops >= 2
    assert any("continuing at seed" in text for text in infer(inputs, tmp_path / "stopped"))
    same_results(tmp_path / "straight", tmp_path / "stopped")


def test_what_is_not_published_in_the_end_is_not_lost(inputs: dict[str, Path], tmp_path: Path) -> None:
    """The state stays until the runner has published the result; with it a second try only has to write."""
    infer(inputs, tmp_path / "first")
    folder = tmp_path / "again"
    infer(inputs, folder)
    for file in folder.iterdir():
        if file.name != "state":
            file.unlink()
    points: list[int] = []
    told = infer(inputs, folder, lambda point, save: points.append(point))
    assert any("continuing at seed" in text for text in told)
    assert not points  # no call of the network
    same_results(tmp_path / "first", folder)


def killed_half_way(inputs: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after kill -9: nothing is saved on the way out, only on the way."""

    def cut(point: int, save: Callable[[], None]) -> None:
        if (folder / "state" / STATE_FILE).exists():
            raise Killed

    monkeypatch.setattr(ffn_inference, "_SAVE_INTERVAL_S", 0)
    with pytest.raises(Killed):
        infer(inputs, folder, cut, "this code")
    monkeypatch.undo()


@pytest.mark.parametrize("change", ["parameter", "code", "image", "weights", "deltas"])
def test_a_state_of_another_segmentation_is_set_aside(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    killed_half_way(inputs, tmp_path / "run", monkeypatch)
    program, params = "this code", {}
    if change == "parameter":
        params = {"segment_threshold": 0.5}
    elif change == "code":
        program = "other code"
    elif change == "image":
        image, place = volumes.read_volume(inputs["image"])
        image[0, 0, 0] += 1
        volumes.write_volume(inputs["image"], "image", image, place)
    else:
        network, model = ffn_models.read_model(inputs["model"])
        weights = ffn.weights(model)
        if change == "weights":
            weights["seed_update/conv_lom/biases"] += 0.01
        else:
            network = network._replace(deltas=(1, 1, 1))
        ffn_models.write_model(inputs["model"], network, weights, 1)
    told = infer(inputs, tmp_path / "run", program=program, **params)
    aside = "the saved state has other settings or data: it is kept in state/set-aside-1, and segmentation starts over"
    assert aside in told
    assert not any("continuing" in text for text in told)


def test_every_option_reaches_the_canvas(
    run_stage: Callable[..., Any], inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from floodrunner.segmentation.ffn import canvas

    seen = []
    options_type = canvas.Options

    def captured(**options: Any) -> canvas.Options:
        seen.append(options)
        return options_type(**options)

    monkeypatch.setattr(canvas, "Options", captured)
    run_stage(
        "ffn-infer",
        inputs,
        init_activation=0.96,
        pad_value=0.06,
        move_threshold=0.91,
        segment_threshold=0.61,
        min_boundary_dist_xyz=[1, 2, 3],
        min_segment_size=101,
        disco_seed_threshold=0.02,
    )
    assert seen == [
        {
            "init_activation": 0.96,
            "pad_value": 0.06,
            "move_threshold": 0.91,
            "segment_threshold": 0.61,
            "min_boundary_dist": (3, 2, 1),
            "min_segment_size": 101,
            "disco_seed_threshold": 0.02,
        }
    ]


def test_a_seed_below_the_move_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"init_activation 0\.8 is below move_threshold 0\.9, so no object would grow"):
        ffn_infer.Params.parse({"init_activation": 0.8})


def test_a_damaged_image_is_refused(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    import h5py

    with h5py.File(inputs["image"]) as file:
        chunk = file["raw"].id.get_chunk_info(0)
    data = bytearray(inputs["image"].read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    inputs["image"].write_bytes(data)
    with pytest.raises(InputError, match=r"image\.h5: cannot be read because the file is damaged"):
        run_stage("ffn-infer", inputs)


def test_nothing_found_is_said(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    result = run_stage("ffn-infer", inputs, min_segment_size=10**6, box_xyz={"start": [8, 4, 4], "size": [12, 10, 8]})
    assert not volumes.read_volume(result["segmentation"])[0].any()
    assert any("no object of 1000000 voxels or more" in m["text"] for m in result.reported("message"))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (
            {"box_xyz": {"start": [30, 0, 0], "size": [20, 32, 20]}},
            r"box_xyz: start \[30, 0, 0\], size \[20, 32, 20\] does not lie inside .*image.h5, which has 40 x 32 x 20",
        ),
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
    image, place = volumes.read_volume(inputs["image"])
    volumes.write_volume(inputs["image"], "image", image[:2], place)
    with pytest.raises(InputError, match=r"40 x 32 x 2 voxels .* is too small .* at least 4 x 4 x 3"):
        run_stage("ffn-infer", inputs)


def test_nan_in_the_volume_is_refused(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    image, place = volumes.read_volume(inputs["image"])
    image = image.astype(np.float32)
    image[3, 4, 5] = np.nan
    volumes.write_volume(inputs["image"], "image", image, place)
    with pytest.raises(InputError, match=r"image.h5: contains NaN or infinite values"):
        run_stage("ffn-infer", inputs)


def test_a_folder_that_is_no_model_is_refused(run_stage: Callable[..., Any], inputs: dict[str, Path]) -> None:
    weights = inputs["model"] / "weights.h5"
    weights.write_bytes(weights.read_bytes()[:300])
    with pytest.raises(InputError, match=r"model/weights.h5: is (truncated|not a readable HDF5 file)"):
        run_stage("ffn-infer", inputs)
    inputs["model"] = inputs["image"].parent
    with pytest.raises(InputError, match="not a model that ffn-train or"):
        run_stage("ffn-infer", inputs)
