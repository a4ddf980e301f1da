from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from floodrunner.contract.job import Job
from floodrunner.contract.stage import Context, InputError, Stopped
from floodrunner.segmentation import backend
from floodrunner.segmentation.unet import prediction
from floodrunner.segmentation.unet.architectures import blog, classic
from floodrunner.segmentation.unet.augmentation import Ranges
from floodrunner.segmentation.unet.examples import Examples
from floodrunner.segmentation.unet.instances import centres, targets
from floodrunner.segmentation.unet.losses import LOSSES, dice
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.segmentation.unet.normalisation import normalise
from floodrunner.segmentation.unet.prediction import resized
from floodrunner.stages import unet_train
from floodrunner.stages.resumable import state
from floodrunner.stages.resumable.training import STATE_FILE
from floodrunner.stages.storage import unet_models
from floodrunner.stages.storage.image_sets import Picture, write_set
from tests.stages.resumable.stub import Events, Interrupter

TINY: dict[str, Any] = {"depth": 2, "width": 4, "crop": 32, "batch_size": 2, "max_steps": 30, "validation_interval": 10}


def drawn(number: int, shape: tuple[int, int], seed: int) -> Picture:
    """A picture with bright discs on a dark ground, and their labels."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for cell in range(1, 5):
        cy, cx, radius = generator.uniform(0, shape[0]), generator.uniform(0, shape[1]), generator.uniform(4, 8)
        labels[np.hypot(y - cy, x - cx) < radius] = cell
    image = np.clip(np.where(labels > 0, 150, 40) + generator.normal(0, 12, shape), 0, 255).astype(np.uint8)
    return Picture(f"cells{number}", image, labels)


@pytest.fixture
def pictures() -> list[Picture]:
    """Smaller and larger than a crop, and of several sizes."""
    return [drawn(n, shape, n) for n, shape in enumerate([(48, 40), (30, 64), (24, 28), (50, 50), (33, 47), (40, 40)])]


@pytest.fixture
def training(pictures: list[Picture], tmp_path: Path) -> Path:
    write_set(tmp_path / "training.h5", pictures)
    return tmp_path / "training.h5"


def context(training: Path, folder: Path, events: Any) -> Context:
    job = Job(
        step="this-step",
        stage="unet-train",
        params={},
        inputs={"training": str(training)},
        outputs={"model": str(folder / "partial" / "model")},
        state=str(folder / "state"),
    )
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    return Context(job, events)


def train(training: Path, folder: Path, **params: Any) -> Events:
    """Runs the stage with `TINY` and these parameters."""
    events = Events()
    unet_train.run(unet_train.Params.parse({**TINY, **params}), context(training, folder, events))
    return events


def same_weights(a: Path, b: Path) -> None:
    with h5py.File(a / "partial/model/weights.h5") as one, h5py.File(b / "partial/model/weights.h5") as other:
        assert list(one) == list(other)
        assert len(one) > 10
        for name in one:
            np.testing.assert_array_equal(one[name][...], other[name][...], err_msg=name)


def stop_and_continue(training: Path, folder: Path, point: int, **params: Any) -> Events:
    """Requests a stop at the `point`-th stop point, then runs the stage again."""
    work = context(training, folder, Events())
    with pytest.MonkeyPatch.context() as patched:
        Interrupter(point, work.request_stop).watch(patched, work, "stop_point")
        with pytest.raises(Stopped):
            unet_train.run(unet_train.Params.parse({**TINY, **params}), work)
    assert not (folder / "partial" / "model").exists()
    return train(training, folder, **params)


def same_states(a: Path, b: Path) -> None:
    (one, _), (other, _) = (state.load(folder / "state" / STATE_FILE) for folder in (a, b))  # type: ignore[misc]
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_state_of_an_earlier_version_is_continued(training: Path, tmp_path: Path) -> None:
    """It has other names for the interval of validations, and for the validations themselves."""
    straight, continued = tmp_path / "straight", tmp_path / "continued"
    train(training, straight, max_steps=20, schedule="constant")
    train(training, continued, max_steps=10, schedule="constant")
    saved = state.load(continued / "state" / STATE_FILE)
    assert saved is not None
    arrays, values = saved
    values["manner"]["validation_steps"] = values["manner"].pop("validation_interval")
    values["progress"]["looks"] = values.pop("validations")
    state.save(continued / "state" / STATE_FILE, arrays, values)
    events = train(training, continued, max_steps=20, schedule="constant")
    assert any("from step 10 to 20" in text for text in events.messages())
    assert not any("changed" in text for text in events.messages())
    same_states(continued, straight)


def test_stopped_and_continued_the_classic_network_learns_the_same(training: Path, tmp_path: Path) -> None:
    """Ctrl-C within a validation, then again: the same weights to the last bit."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    params = {"max_steps": 120, "validation_interval": 40, "width": 8}
    events = train(training, straight, **params)
    found = events.metrics("validation_loss")
    assert [step for step, _ in found] == [40, 80, 120]
    assert min(loss for _, loss in found) < 0.85 * found[0][1]
    network, model = unet_models.read_model(straight / "partial" / "model")
    assert network == ("classic", 1, 2, 8, False)
    assert model.count_params() == classic.build(network).count_params()
    about = json.loads((straight / "partial" / "model" / "network.json").read_text())
    assert about["step"] == min(found, key=lambda each: each[1])[0]
    with Image.open(straight / "partial" / "curves.png") as curves:
        assert curves.size == (960, 540)
    assert [e["path"] for e in events.lines if e["event"] == "artifact"] == ["curves.png"]

    # Of the stop points, 81 come before steps, and one in each of two validations.
    again = stop_and_continue(training, stopped, 83, **params)
    assert "from step 80 to 120" in again.messages()[0]
    assert [step for step, _ in again.metrics("validation_loss")] == [80, 120]
    same_weights(straight, stopped)
    same_states(straight, stopped)


def test_stopped_and_continued_the_blogs_network_learns_the_same(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout and running means included."""
    narrow(monkeypatch)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    params = {"architecture": "blog", "depth": None, "width": None, "crop": None, "max_steps": 6}
    train(training, straight, **params)
    assert "from step 3 to 6" in stop_and_continue(training, stopped, 4, **params).messages()[0]
    same_weights(straight, stopped)
    same_states(straight, stopped)


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the blog's network quick."""
    monkeypatch.setattr(blog, "DEFAULTS", blog.DEFAULTS._replace(width=2))


def test_why_training_ended_is_said(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uncompiled: None
) -> None:
    """With a network that stays as it is, the first validation is the best."""
    events = train(training, tmp_path / "patience", max_steps=400, validation_interval=5, patience=3)
    assert "stopped after 20 of 400 steps: 3 validations in a row found no better weights" in events.messages()
    about = json.loads((tmp_path / "patience" / "partial" / "model" / "network.json").read_text())
    assert about["step"] == 5
    events = train(training, tmp_path / "minutes", max_steps=10**6, max_minutes=0.01, patience=10**6)
    assert any("the limit of 0.01 minutes (max_minutes) is reached" in text for text in events.messages())


@pytest.mark.usefixtures("uncompiled")
def test_pictures_for_validation_are_never_trained_on(
    training: Path, pictures: list[Picture], tmp_path: Path, trained_on: list[np.ndarray]
) -> None:
    events = train(training, tmp_path, max_steps=1, validation_fraction=0.4)
    kept_out = json.loads((tmp_path / "partial" / "model" / "network.json").read_text())["validation"]
    assert len(kept_out) == 2
    assert len(trained_on) == 4
    trained = [p.name for p in pictures if any(np.array_equal(normalise(p.image, 1), image) for image in trained_on)]
    assert sorted(trained + kept_out) == sorted(p.name for p in pictures)
    assert f"on 4 pictures; 2 more for validation: {', '.join(kept_out)}" in events.messages()[0]


@pytest.mark.parametrize(
    ("number", "share", "expected"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.25, 2), (10, 0.96, 9), (1200, 0.15, 64)]
)
def test_there_is_always_one_to_train_on_and_one_to_look_at(number: int, share: float, expected: int) -> None:
    """And never so many to look at that it takes longer than the training."""
    kept_out = unet_train._kept_out([True] * number, share, np.random.default_rng(1))
    assert len(set(kept_out)) == expected
    assert set(kept_out) < set(range(number))
    assert kept_out == sorted(np.random.default_rng(1).permutation(number)[:expected])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("loss", "schedule", "augment", "ranges", "rates"),
    [
        ("dice", "constant", False, None, [0.01] * 4),
        ("bce", "cosine", True, Ranges(), [0.01, 0.0085355, 0.005, 0.0014645]),
        ("bce", "constant", {"noise": 0, "rotation": 180.0}, Ranges(noise=0, rotation=180), [0.01] * 4),
    ],
)
def test_every_parameter_reaches_what_it_is_for(
    loss: str,
    schedule: str,
    augment: Any,
    ranges: Ranges | None,
    rates: list[float],
    training: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All but those of when to stop and of the seed, which have tests of their own."""
    crops: list[tuple[Any, ...]] = []
    used: list[tuple[Any, float]] = []
    fresh, real = Examples.__init__, backend.training_step

    def examples(
        self: Examples, images: Any, targets: Any, centres: Any, size: int, number: int, rng: Any, ranges: Any
    ) -> None:
        crops.append((size, number, ranges))
        for target, near in zip(targets, centres, strict=True):
            assert all(target[tuple(np.rint(place).astype(int))][0] for place in near)  # discs have them inside
        assert sum(len(near) for near in centres) > 8
        fresh(self, images, targets, centres, size, number, rng, ranges)

    def training_step(model: Any, optimizer: Any, total: Any) -> Any:
        step = real(model, optimizer, total)

        def run(given: np.ndarray, target: np.ndarray) -> Any:
            used.append((total, float(optimizer.learning_rate)))
            assert given.shape == (3, 24, 24, 1)
            return step(given, target)

        return run

    monkeypatch.setattr(Examples, "__init__", examples)
    monkeypatch.setattr(backend, "training_step", training_step)
    events = train(
        training,
        tmp_path,
        depth=1,
        width=3,
        crop=24,
        batch_size=3,
        loss=loss,
        augment=augment,
        learning_rate=0.01,
        schedule=schedule,
        max_steps=4,
        validation_fraction=0.5,
        validation_interval=2,
    )
    assert crops == [(24, 3, ranges)]
    np.testing.assert_allclose([rate for _, rate in used], rates, rtol=1e-4)
    assert used[0][0] is LOSSES[loss]
    assert [step for step, _ in events.metrics("validation_loss")] == [2, 4]
    assert "on 3 pictures; 3 more for validation" in events.messages()[0]
    network, _ = unet_models.read_model(tmp_path / "partial" / "model")
    assert network == ("classic", 1, 1, 3, False)


@pytest.mark.usefixtures("uncompiled")
def test_the_same_seed_gives_the_same_weights(training: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        train(training, tmp_path / name, seed=seed)
    same_weights(tmp_path / "one", tmp_path / "two")
    with pytest.raises(AssertionError):
        same_weights(tmp_path / "one", tmp_path / "other")


@pytest.mark.usefixtures("uncompiled")
def test_another_training_starts_over(training: Path, tmp_path: Path) -> None:
    train(training, tmp_path, max_steps=2)
    aside, start = train(training, tmp_path, max_steps=2, width=5).messages()[:2]
    assert aside.startswith(
        "the saved state has other settings or data (width changed): it is kept in state/set-aside-1"
    )
    assert "from step 0 to 2" in start


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (True, {}, True),
        (True, {"noise": 0.03}, True),
        (True, {"noise": 0.04}, False),
        (True, False, False),
        ({"noise": 0.0}, {"noise": 0.0, "bend": 6.0}, True),
    ],
)
def test_augmentation_is_compared_by_what_it_does(
    first: Any, second: Any, same: bool, training: Path, tmp_path: Path
) -> None:
    train(training, tmp_path, max_steps=1, augment=first)
    told = train(training, tmp_path, max_steps=2, augment=second).messages()
    assert any("(augment changed)" in text for text in told) is not same
    assert any("from step 1 to 2" in text for text in told) is same


@pytest.mark.usefixtures("uncompiled")
def test_a_state_of_an_earlier_method_is_set_aside(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet_train, "_METHOD", 1)
    train(training, tmp_path, max_steps=2)
    monkeypatch.setattr(unet_train, "_METHOD", 2)
    assert "(method changed)" in train(training, tmp_path, max_steps=2).messages()[0]


@pytest.mark.usefixtures("uncompiled")
def test_what_is_left_out_and_the_same_in_words_are_one_training(training: Path, tmp_path: Path) -> None:
    few: dict[str, Any] = {"depth": 1, "width": 2, "max_steps": 1}
    for params in (
        few,
        few | {"crop": 128, "augment": True, "batch_size": 4, "loss": "dice+bce", "squash": False, "max_steps": 2},
    ):
        events = Events()
        unet_train.run(unet_train.Params.parse(params), context(training, tmp_path, events))
    assert "from step 1 to 2" in events.messages()[0]
    assert not list((tmp_path / "state").glob("set-aside-*"))


@pytest.mark.usefixtures("uncompiled")
def test_colours_and_sixteen_bits(pictures: list[Picture], tmp_path: Path) -> None:
    colour = [Picture(p.name, np.stack([p.image.astype(np.uint16) * 200] * 3, -1), p.labels) for p in pictures]
    write_set(tmp_path / "colour.h5", colour)
    train(tmp_path / "colour.h5", tmp_path, max_steps=2)
    assert unet_models.read_model(tmp_path / "partial" / "model")[0].channels == 3


@pytest.mark.usefixtures("uncompiled")
def test_the_blogs_network_comes_with_its_settings(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch)
    seen: list[tuple[int, ...]] = []
    batch = Examples.batch

    def spy(self: Examples) -> tuple[np.ndarray, np.ndarray]:
        given, target = batch(self)
        seen.extend((given.shape, target.shape))
        return given, target

    resized: list[tuple[int, ...]] = []
    resize = prediction.resize

    def counted(image: np.ndarray, shape: tuple[int, ...], **named: Any) -> np.ndarray:
        resized.append(shape)
        result: np.ndarray = resize(image, shape, **named)
        return result

    monkeypatch.setattr(Examples, "batch", spy)
    monkeypatch.setattr(prediction, "resize", counted)
    params = {"architecture": "blog", "max_steps": 2, "validation_interval": 1}
    events = Events()
    # As the plan writes it: with all defaults.
    full = unet_train.Params.parse(params).model_dump(mode="json")
    unet_train.run(unet_train.Params.parse(full), context(training, tmp_path, events))
    assert seen == [(12, 256, 256, 1)] * 4
    assert resized.count((256, 256)) == 11  # six images and five targets, however often they are looked at
    assert len(resized) == 11 + 2  # and back, at each look
    network, _ = unet_models.read_model(tmp_path / "partial" / "model")
    assert network == ("blog", 1, 8, 2, True)
    assert 0 < events.metrics("validation_loss")[0][1] < 1  # dice


@pytest.mark.real_data
def test_the_blogs_training_lowers_the_dice_loss_on_real_images(shared: Path) -> None:
    """The network in full, on nuclei squashed to 256 x 256, as in the post."""
    files = sorted((shared / "dsb2018" / "images").iterdir())[:12]
    images, truths, middles = [], [], []
    for file in files:
        labels = np.asarray(Image.open(shared / "dsb2018" / "labels" / file.name)).astype(np.int32)
        images.append(resized(normalise(np.asarray(Image.open(file)), 1), (256, 256)))
        truths.append(resized(targets(labels)[..., :1], (256, 256)))
        middles.append(centres(labels))
    keras.utils.set_random_seed(1)
    model = blog.build(NetworkSpec("blog", 1, 8, 64, squash=True))
    examples = Examples(images, truths, middles, 256, 4, np.random.default_rng(1), None)
    step = backend.training_step(model, keras.optimizers.Adam(0.001), dice)
    losses = [step(*examples.batch())[0] for _ in range(10)]
    assert np.mean(losses[:2]) > 0.4
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p[:1], "holds one picture, cells0; training needs two or more, because one is kept out"),
        (lambda p: [*p, Picture("new", p[0].image)], "new has no labels to train on; connect the training set"),
        (lambda p: [Picture(q.name, q.image, q.labels * 0) for q in p], "no cell is drawn in any of the 6 pictures"),
    ],
)
def test_sets_that_teach_nothing_are_refused(
    change: Callable[[list[Picture]], list[Picture]], words: str, pictures: list[Picture], tmp_path: Path
) -> None:
    write_set(tmp_path / "odd.h5", change(pictures))
    with pytest.raises(InputError, match=f"odd.h5: {words}"):
        train(tmp_path / "odd.h5", tmp_path)
