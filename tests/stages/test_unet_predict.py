from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.job import Job
from floodrunner.contract.stage import Context, InputError, Stopped
from floodrunner.segmentation import backend, colours
from floodrunner.segmentation.contrast import displayed
from floodrunner.segmentation.matching import colour_ids, recoloured
from floodrunner.segmentation.scores.rand_and_vi import overlaps
from floodrunner.segmentation.unet import instances, prediction
from floodrunner.segmentation.unet.architectures import blog, classic
from floodrunner.segmentation.unet.instances import targets
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.segmentation.unet.normalisation import normalise
from floodrunner.stages import unet_predict
from floodrunner.stages.readers.tiff_write import write_page
from floodrunner.stages.storage import unet_models
from floodrunner.stages.storage.image_sets import Picture, read_set, write_set
from tests.stages.resumable.stub import Events
from tests.stages.test_unet_train import drawn

NETWORK = NetworkSpec("classic", 1, 2, 8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learnt to find bright discs."""
    from floodrunner.segmentation.unet.examples import Examples
    from floodrunner.segmentation.unet.losses import dice_bce

    keras.utils.set_random_seed(1)
    model = classic.build(NETWORK)
    pictures = [drawn(n, (48, 48), n) for n in range(8)]
    examples = Examples(
        [normalise(p.image, 1) for p in pictures],
        [targets(p.labels) for p in pictures],  # type: ignore[arg-type]
        [np.zeros((0, 2))] * len(pictures),
        48,
        4,
        np.random.default_rng(1),
        ranges=None,
    )
    step = backend.training_step(model, keras.optimizers.Adam(0.005), dice_bce)
    for _ in range(150):
        step(*examples.batch())
    folder = tmp_path_factory.mktemp("trained") / "model"
    unet_models.write_model(folder, NETWORK, model.get_weights(), {"step": 150, "validation": []})
    return folder


@pytest.fixture
def pictures() -> list[Picture]:
    return [drawn(n, shape, 100 + n) for n, shape in enumerate([(48, 40), (30, 64), (67, 53)])]


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "cells.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cells_are_found_listed_and_drawn(
    run_stage: Callable[..., Any], trained: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    write_set(tmp_path / "images.h5", pictures)
    result = run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": trained})
    folder = result["predicted"].parent
    found = read_set(result["predicted"])
    assert [p.name for p in found] == [p.name for p in pictures]
    rows = table(folder)
    for truth, picture in zip(pictures, found, strict=True):
        np.testing.assert_array_equal(picture.image, truth.image)
        assert picture.labels is not None
        assert truth.labels is not None
        assert picture.probability is not None
        mask, true = picture.labels > 0, truth.labels > 0
        assert 2 * np.count_nonzero(mask & true) > 0.85 * (np.count_nonzero(mask) + np.count_nonzero(true))

        files = {name: np.asarray(Image.open(folder / name / f"{truth.name}.png")) for name in
                 ("labels", "mask", "probability", "overlay")}  # fmt: skip
        assert files["labels"].dtype == np.uint16
        np.testing.assert_array_equal(files["labels"], picture.labels)
        np.testing.assert_array_equal(files["mask"], np.where(mask, 255, 0))
        np.testing.assert_array_equal(files["probability"], np.rint(picture.probability * 255))
        assert files["overlay"].shape == (*truth.image.shape, 3)
        assert (files["overlay"][mask].std(-1) > 0).mean() > 0.9  # in colour
        assert (files["overlay"][~mask].std(-1) == 0).all()

        of_picture = [row for row in rows if row["image"] == truth.name]
        assert [int(row["cell"]) for row in of_picture] == list(range(1, picture.labels.max() + 1))
        for row in of_picture:
            inside = picture.labels == int(row["cell"])
            y, x = np.nonzero(inside)
            assert int(row["area"]) == len(y) >= 20
            assert float(row["centroid_x"]) == pytest.approx(x.mean(), abs=1e-3)
            assert float(row["centroid_y"]) == pytest.approx(y.mean(), abs=1e-3)
            box = [int(row[name]) for name in ("left", "top", "width", "height")]
            assert box == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert float(row["mean_intensity"]) == pytest.approx(truth.image[inside].mean(), abs=1e-3)
    assert len(rows) == sum(p.labels.max() for p in found) >= 6  # type: ignore[union-attr]
    assert result.reported("metric")[-1]["value"] == len(rows)
    assert [e["path"] for e in result.reported("artifact")] == ["cells.csv", "overlay", "overview.png"]
    assert all(row["area_um2"] == row["centroid_x_um"] == row["centroid_y_um"] == "" for row in rows)


def test_cells_in_micrometres_where_the_pixel_size_is_known(
    run_stage: Callable[..., Any], trained: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    write_page(folder / "sized.tif", pictures[0].image, (500.0, 250.0))
    Image.fromarray(pictures[2].image).save(folder / "dots.png", dpi=(300, 300))
    Image.fromarray(pictures[2].image).save(folder / "printed.jpg", dpi=(72, 72), quality=100)
    result = run_stage("unet-predict", {"images": folder, "model": trained})
    assert {p.name: p.pixel_size_xy for p in read_set(result["predicted"])} == {
        "dots": None,
        "printed": None,
        "sized": (500.0, 250.0),
    }
    rows = table(result["predicted"].parent)
    assert {row["image"] for row in rows} == {"dots", "printed", "sized"}
    for row in rows:
        um = [row[name] for name in ("area_um2", "centroid_x_um", "centroid_y_um")]
        if row["image"] != "sized":
            assert um == ["", "", ""]
            continue
        pixels = [int(row["area"]) / 8, float(row["centroid_x"]) / 2, float(row["centroid_y"]) / 4]
        assert [float(each) for each in um] == pytest.approx(pixels, rel=1e-4, abs=1e-3)
    assert (
        "2 of 3 pictures give no pixel size (dots, printed): their columns in µm are empty; to give all the same size, "
        "set pixel_size_xy"
    ) in [event["text"] for event in result.reported("message")]
    # The size in the settings counts for all; one that differs is told.
    again = run_stage("unet-predict", {"images": folder, "model": trained}, pixel_size_xy=[1000, 1000])
    rows = table(again["predicted"].parent)
    assert all(float(row["area_um2"]) == float(row["area"]) for row in rows)
    assert [event["text"] for event in again.reported("message")][-1] == (
        "pixel_size_xy is set to 1000 x 1000 nm, which is used, but 1 of the pictures give another size: sized; to use "
        "the sizes in the files, leave pixel_size_xy out"
    )


def test_the_overview_shows_found_and_true_cells(
    run_stage: Callable[..., Any], trained: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    write_set(tmp_path / "images.h5", pictures)
    known = run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": trained})
    write_set(tmp_path / "images.h5", [Picture(p.name, p.image) for p in pictures])
    unknown = run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": trained})
    three, two = (Image.open(each["predicted"].parent / "overview.png") for each in (known, unknown))
    for each in read_set(known["predicted"]):
        (truth,) = (p.labels for p in pictures if p.name == each.name)
        assert truth is not None
        assert each.labels is not None
        shown = np.asarray(Image.open(known["predicted"].parent / "overlay" / f"{each.name}.png"))
        ids = recoloured(each.labels, *colour_ids(overlaps(each.labels, truth)))
        np.testing.assert_array_equal(shown, colours.overlay(displayed(each.image), ids, 0.35))
    assert three.width == two.width
    assert three.height * 2 > two.height * 3 - 50


def test_a_folder_of_pictures_of_all_kinds(
    run_stage: Callable[..., Any], trained: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    """8 and 16 bits, grey and colour, in any size: the same cells."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    image = pictures[0].image
    Image.fromarray(image).save(folder / "grey.png")
    Image.fromarray(image.astype(np.uint16) * 100 + 3000).save(folder / "deep.png")
    Image.fromarray(np.stack([image, image // 2, image // 3], -1)).save(folder / "colour.png")
    Image.fromarray(pictures[2].image).save(folder / "large.png")
    found = {p.name: p for p in read_set(run_stage("unet-predict", {"images": folder, "model": trained})["predicted"])}
    assert sorted(found) == ["colour", "deep", "grey", "large"]
    assert found["grey"].labels is not None
    assert found["grey"].labels.max() >= 2
    for name in ("colour", "deep"):
        np.testing.assert_allclose(found[name].probability, found["grey"].probability, atol=0.1)


def test_tiles_and_the_whole_are_the_same(run_stage: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "images.h5", [drawn(0, (210, 150), 1)])
    by_tiles, whole = (
        read_set(
            run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": trained}, tile=tile)["predicted"]
        )
        for tile in (100, 1024)
    )
    assert np.ptp(whole[0].probability) > 0.7  # type: ignore[arg-type]
    np.testing.assert_allclose(by_tiles[0].probability, whole[0].probability, atol=1e-4)


def test_turns_are_the_mean_of_all_eight(trained: Path) -> None:
    network, model = unet_models.read_model(trained)
    forward = backend.forward(model)
    image = normalise(drawn(0, (40, 56), 3).image, 1)
    expected = []
    for transposed in (False, True):
        for axes in ((), (0,), (1,), (0, 1)):
            seen = np.flip(image.swapaxes(0, 1) if transposed else image, axes)
            found = np.flip(prediction.picture(forward, network, seen, 1024), axes)
            expected.append(found.swapaxes(0, 1) if transposed else found)
    turned = prediction.picture(forward, network, image, 1024, test_time_augmentation=True)
    np.testing.assert_allclose(turned, np.mean(expected, 0), atol=1e-5)
    assert np.abs(turned - expected[0]).max() > 1e-3


@pytest.mark.parametrize("squash", [True, False])
def test_the_blogs_network_predicts_pictures_in_their_own_size(
    squash: bool, run_stage: Callable[..., Any], tmp_path: Path
) -> None:
    network = NetworkSpec("blog", 1, 8, 2, squash)
    unet_models.write_model(tmp_path / "model", network, blog.build(network).get_weights(), {})
    write_set(tmp_path / "images.h5", [drawn(0, (300, 180), 1), drawn(1, (20, 300), 2)])
    result = run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": tmp_path / "model"}, threshold=0.999)
    assert [p.probability.shape for p in read_set(result["predicted"])] == [(300, 180), (20, 300)]  # type: ignore[union-attr]
    assert table(result["predicted"].parent) == []
    assert "no cell was found; if probability/ shows cells" in result.reported("message")[-1]["text"]


def test_small_cells_are_left_out(
    run_stage: Callable[..., Any], trained: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    write_set(tmp_path / "images.h5", pictures)
    inputs = {"images": tmp_path / "images.h5", "model": trained}
    result = run_stage("unet-predict", inputs, min_size=100)
    areas = [int(row["area"]) for row in table(result["predicted"].parent)]
    every = [int(row["area"]) for row in table(run_stage("unet-predict", inputs, min_size=1)["predicted"].parent)]
    assert min(every) < 100
    assert sorted(areas) == sorted(area for area in every if area >= 100)


@pytest.mark.parametrize("damage", ["no folder", "other depth", "cut weights", "no json"])
def test_what_is_no_model_is_refused(
    damage: str, run_stage: Callable[..., Any], trained: Path, pictures: list[Picture], tmp_path: Path
) -> None:
    write_set(tmp_path / "images.h5", pictures)
    model = tmp_path / "model"
    if damage != "no folder":
        model.mkdir()
        (model / "weights.h5").write_bytes((trained / "weights.h5").read_bytes())
        (model / "network.json").write_text((trained / "network.json").read_text())
    if damage == "other depth":
        about = json.loads((model / "network.json").read_text())
        (model / "network.json").write_text(json.dumps(about | {"depth": 3}))
    elif damage == "cut weights":
        with h5py.File(model / "weights.h5", "a") as file:
            del file["000"]
    elif damage == "no json":
        (model / "network.json").write_text("depth: 4")
    words = {
        "no folder": "model: not a model that unet-train wrote",
        "other depth": r"weights.h5: does not fit network.json: the weights \d+ are",
        "cut weights": "weights.h5: does not fit network.json: the weights 000 are only in the network",
        "no json": "network.json: is not JSON: expecting value in line 1",
    }
    with pytest.raises(InputError, match=f"{words[damage]}.*; give the model/ folder of unet-train"):
        run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": model})


def test_a_folder_without_pictures_is_refused(run_stage: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: is empty, no PNG, TIFF or JPEG pictures"):
        run_stage("unet-predict", {"images": tmp_path / "empty", "model": trained})


def test_more_cells_than_a_png_can_number_go_into_a_tiff(
    run_stage: Callable[..., Any],
    trained: Path,
    pictures: list[Picture],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_set(tmp_path / "images.h5", pictures)
    inputs = {"images": tmp_path / "images.h5", "model": trained}
    most = [p.labels.max() for p in read_set(run_stage("unet-predict", inputs)["predicted"])]  # type: ignore[union-attr]
    assert most[1] < max(most) < 2**16
    monkeypatch.setattr(unet_predict, "_MOST", max(most) - 1)
    result = run_stage("unet-predict", inputs)
    told = [e["text"] for e in result.reported("message")]
    for truth, picture in zip(most, read_set(result["predicted"]), strict=True):
        png, tiff = (result["labels"] / f"{picture.name}.{suffix}" for suffix in ("png", "tif"))
        assert (png.exists(), tiff.exists()) == ((False, True) if truth == max(most) else (True, False))
        line = f"{picture.name}: {truth} cells are too many for a 16-bit PNG; labels/{picture.name}.tif has 32 bits"
        assert (line in told) == tiff.exists()
        if tiff.exists():
            assert tifffile.imread(tiff).dtype == np.uint32
            np.testing.assert_array_equal(tifffile.imread(tiff), picture.labels)


def test_every_parameter_reaches_what_it_is_for(
    run_stage: Callable[..., Any], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, tuple[Any, ...]] = {}
    for module, name in ((prediction, "picture"), (instances, "cells"), (colours, "overlay")):
        real = getattr(module, name)

        def spy(*args: Any, real: Any = real, name: str = name) -> Any:
            seen[name] = args
            return real(*args)

        monkeypatch.setattr(module, name, spy)
    write_set(tmp_path / "images.h5", [drawn(0, (48, 40), 1)])
    params = {"tile": 300, "test_time_augmentation": True, "threshold": 0.4, "min_size": 7, "opacity": 0.9}
    run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": trained}, **params)
    assert seen["picture"][3:] == (300, True)
    assert seen["cells"][1:] == (0.4, 7)
    assert seen["overlay"][2:] == (0.9,)


class Calls:
    """Counts the pictures that are predicted, and asks for a stop at one."""

    context: Context

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.last = 0, 10**9
        real = prediction.picture

        def counted(*args: Any) -> np.ndarray:
            self.count += 1
            if self.count == self.last:
                self.context.request_stop()
            return real(*args)

        monkeypatch.setattr(prediction, "picture", counted)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def predict(images: Path, model: Path, folder: Path, calls: Calls, program: str = "this code", **params: Any) -> Events:
    """Runs the stage in this folder, with its state."""
    (folder / "out").mkdir(parents=True)
    job = Job(
        step="this-step",
        stage="unet-predict",
        params={},
        inputs={"images": str(images), "model": str(model)},
        outputs={"predicted": str(folder / "out" / "predicted.h5"), "labels": str(folder / "out" / "labels")},
        state=str(folder / "state"),
        program=program,
    )
    events = Events()
    calls.context = Context(job, events)  # type: ignore[arg-type]
    unet_predict.run(unet_predict.Params.parse(params), calls.context)
    return events


def stopped_at_the_third(images: Path, model: Path, folder: Path, calls: Calls) -> None:
    calls.last = 3
    with pytest.raises(Stopped):
        predict(images, model, folder, calls)
    shutil.rmtree(folder / "out")  # as the runner does
    calls.last, calls.count = 10**9, 0


def test_pictures_that_are_done_are_not_predicted_again(
    trained: Path, pictures: list[Picture], tmp_path: Path, calls: Calls
) -> None:
    images = tmp_path / "images.h5"
    write_set(images, pictures)
    predict(images, trained, tmp_path / "straight", calls)
    calls.count = 0
    stopped_at_the_third(images, trained, tmp_path / "stopped", calls)
    told = predict(images, trained, tmp_path / "stopped", calls)
    assert calls.count == 1
    assert told.messages().count("continuing after the pictures that are already finished") == 1
    assert [e["path"] for e in told.lines if e["event"] == "spent"] == [f"{p.name}.h5" for p in pictures]
    files = [file for file in (tmp_path / "straight" / "out").rglob("*") if file.is_file()]
    assert len(files) == 3 + 4 * len(pictures)
    for file in files:
        other = tmp_path / "stopped" / file.relative_to(tmp_path / "straight")
        assert other.read_bytes() == file.read_bytes(), file


@pytest.mark.parametrize("change", ["nothing", "opacity", "threshold", "code", "image", "weights"])
def test_pictures_of_another_prediction_are_set_aside(
    change: str, trained: Path, pictures: list[Picture], tmp_path: Path, calls: Calls
) -> None:
    images, model, params = tmp_path / "images.h5", tmp_path / "model", dict[str, Any]()
    shutil.copytree(trained, model)
    write_set(images, pictures)
    stopped_at_the_third(images, model, tmp_path / "run", calls)
    if change in ("opacity", "threshold"):
        params[change] = 0.6
    elif change == "code":
        params["program"] = "other code"
    elif change == "image":
        pictures[0].image[0, 0] ^= 1
        write_set(images, pictures)
    elif change == "weights":
        with h5py.File(model / "weights.h5", "a") as file:
            file["000"][0] += 0.01
    told = predict(images, model, tmp_path / "run", calls, **params).messages()
    same = change in ("nothing", "opacity")
    assert calls.count == (1 if same else 3)
    aside = "the saved state has other settings or data: it is kept in state/set-aside-1, and prediction starts over"
    assert told.count(aside) == (0 if same else 1)
    if not same:
        assert len(list((tmp_path / "run" / "state" / "set-aside-1").iterdir())) == 2
