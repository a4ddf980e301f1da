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

from contract.job import Job
from contract.stage import Context, InputError, StageError, Stopped
from segmentation import backend
from segmentation.unet import network as unet
from segmentation.unet import prediction
from segmentation.unet.examples import Examples
from segmentation.unet.instances import centres, targets
from segmentation.unet.losses import LOSSES, dice
from segmentation.unet.normalisation import normalise
from segmentation.unet.prediction import squash
from stages import unet_train
from stages.resumable import state, unet_training
from stages.storage import unet_models
from stages.storage.image_sets import Picture, write_set
from tests.stages.test_ffn_train import Events

TINY: dict[str, Any] = {"depth": 2, "width": 4, "crop": 32, "batch_size": 2, "max_steps": 30, "validation_steps": 10}


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


def looks(events: Events) -> list[tuple[int, float]]:
    return [(e["step"], e["value"]) for e in events.lines if e.get("name") == "validation_loss"]


def same_weights(a: Path, b: Path) -> None:
    with h5py.File(a / "partial/model/weights.h5") as one, h5py.File(b / "partial/model/weights.h5") as other:
        assert list(one) == list(other)
        assert len(one) > 10
        for name in one:
            np.testing.assert_array_equal(one[name][...], other[name][...], err_msg=name)


def stopped_at(
    point: int, how: Callable[[Callable[[], None]], None], training: Path, folder: Path, **params: Any
) -> None:
    """Runs the stage until its `point`-th stop point, and leaves there."""
    work, points = context(training, folder, Events()), 0

    def stop_point(save: Callable[[], None]) -> None:
        nonlocal points
        points += 1
        if points == point:
            how(save)

    work.stop_point = stop_point  # type: ignore[method-assign]
    unet_train.run(unet_train.Params.parse({**TINY, **params}), work)


def test_training_learns_and_writes_what_it_found(training: Path, tmp_path: Path) -> None:
    events = train(training, tmp_path, max_steps=150, validation_steps=50, width=8, learning_rate=0.003)
    assert [step for step, _ in looks(events)] == [50, 100, 150]
    assert min(loss for _, loss in looks(events)) < 0.75 * looks(train(training, tmp_path / "few", max_steps=1))[0][1]
    network, model = unet_models.read_model(tmp_path / "partial" / "model")
    assert network == ("classic", 1, 2, 8, False)
    assert model.count_params() == unet.build(network).count_params()
    about = json.loads((tmp_path / "partial" / "model" / "network.json").read_text())
    assert about["step"] == min(looks(events), key=lambda look: look[1])[0]
    assert list((tmp_path / "state" / "tensorboard").glob("events.out.tfevents.*"))
    with Image.open(tmp_path / "partial" / "curves.png") as curves:
        assert curves.size == (960, 540)
    assert [e["path"] for e in events.lines if e["event"] == "artifact"] == ["curves.png"]


def test_pictures_for_validation_are_never_trained_on(
    training: Path, pictures: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    fresh = Examples.__init__

    def spy(self: Examples, images: Any, *rest: Any, **named: Any) -> None:
        seen.extend(images)
        fresh(self, images, *rest, **named)

    monkeypatch.setattr(Examples, "__init__", spy)
    events = train(training, tmp_path, max_steps=1, validation_fraction=0.4)
    kept_out = json.loads((tmp_path / "partial" / "model" / "network.json").read_text())["validation"]
    assert len(kept_out) == 2
    assert len(seen) == 4
    trained = [p.name for p in pictures if any(np.array_equal(normalise(p.image, 1), image) for image in seen)]
    assert sorted(trained + kept_out) == sorted(p.name for p in pictures)
    assert f"on 4 pictures; 2 more are for validation: {', '.join(kept_out)}" in events.messages()[0]


@pytest.mark.parametrize(
    ("number", "share", "expected"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.25, 2), (10, 0.96, 9), (1200, 0.15, 64)]
)
def test_there_is_always_one_to_train_on_and_one_to_look_at(number: int, share: float, expected: int) -> None:
    """And never so many to look at that it takes longer than the training."""
    kept_out = unet_train._kept_out(number, share, np.random.default_rng(1))
    assert len(set(kept_out)) == expected
    assert set(kept_out) < set(range(number))
    assert kept_out == sorted(np.random.default_rng(1).permutation(number)[:expected])


@pytest.mark.parametrize(
    ("loss", "schedule", "augment", "rates"),
    [("dice", "constant", False, [0.01] * 4), ("bce", "cosine", True, [0.01, 0.0085355, 0.005, 0.0014645])],
)
def test_every_parameter_reaches_what_it_is_for(
    loss: str,
    schedule: str,
    augment: bool,
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
        self: Examples, images: Any, targets: Any, centres: Any, size: int, number: int, rng: Any, augment: bool
    ) -> None:
        crops.append((size, number, augment))
        for target, near in zip(targets, centres, strict=True):
            assert all(target[tuple(np.rint(place).astype(int))][0] for place in near)  # discs have them inside
        assert sum(len(near) for near in centres) > 8
        fresh(self, images, targets, centres, size, number, rng, augment)

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
        validation_steps=2,
    )
    assert crops == [(24, 3, augment)]
    np.testing.assert_allclose([rate for _, rate in used], rates, rtol=1e-4)
    target, output = np.random.default_rng(1).uniform(0.1, 0.9, (2, 1, 3, 3, 3)).astype(np.float32)
    assert float(used[0][0](target, output)) == pytest.approx(float(LOSSES[loss](target, output)))
    assert [step for step, _ in looks(events)] == [2, 4]
    assert "on 3 pictures; 3 more are for validation" in events.messages()[0]
    network, _ = unet_models.read_model(tmp_path / "partial" / "model")
    assert network == ("classic", 1, 1, 3, False)


def test_the_same_seed_gives_the_same_weights(training: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        train(training, tmp_path / name, seed=seed)
    same_weights(tmp_path / "one", tmp_path / "two")
    with pytest.raises(AssertionError):
        same_weights(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize(("point", "architecture"), [(5, "classic"), (13, "classic"), (7, "blog")])
def test_stopped_and_continued_is_undisturbed(
    point: int, architecture: str, training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle, once within a look at the validation pictures; crops, optimiser, learning rate, the best
    weights so far and, of the blog's network, dropout and running means included."""
    # A blog's network that is quick, not right: what is tested is that all of it is kept.
    monkeypatch.setattr(unet, "_BLOG_FILTERS", (2, 2, 2, 2, 2, 2, 2, 4))
    params: dict[str, Any] = {"max_steps": 14, "validation_steps": 4, "validation_fraction": 0.3}
    if architecture == "blog":
        params |= {"architecture": "blog", "crop": 256, "depth": 4, "width": 16}  # which it has not: the defaults
    train(training, tmp_path / "straight", **params)

    def leave(save: Callable[[], None]) -> None:
        save()
        raise Stopped

    with pytest.raises(Stopped):
        stopped_at(point, leave, training, tmp_path / "stopped", **params)
    assert not (tmp_path / "stopped" / "partial" / "model").exists()
    again = train(training, tmp_path / "stopped", **params)
    assert "from step 0" not in again.messages()[0]
    same_weights(tmp_path / "straight", tmp_path / "stopped")
    arrays = [state.load(tmp_path / name / "state" / "training.h5") for name in ("straight", "stopped")]
    for name, array in arrays[0][0].items():  # type: ignore[index]
        np.testing.assert_array_equal(arrays[1][0][name], array, err_msg=name)  # type: ignore[index]


def test_killed_and_continued_from_the_last_save_is_undisturbed(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after kill -9: nothing is saved on the way out."""

    class Killed(BaseException):
        pass

    def kill(save: Callable[[], None]) -> None:
        raise Killed

    train(training, tmp_path / "straight")
    monkeypatch.setattr(unet_training, "_SAVE_INTERVAL_S", 0)
    with pytest.raises(Killed):
        stopped_at(20, kill, training, tmp_path / "killed")
    again = train(training, tmp_path / "killed")
    assert "from step 1" in again.messages()[0]
    same_weights(tmp_path / "straight", tmp_path / "killed")


def test_another_training_starts_over(training: Path, tmp_path: Path) -> None:
    train(training, tmp_path, max_steps=2)
    aside, start = train(training, tmp_path, max_steps=2, width=5).messages()[:2]
    assert aside.startswith("the saved state is of another training (width changed): kept in state/set-aside-1")
    assert "from step 0 to 2" in start


def test_a_state_of_an_earlier_method_is_set_aside(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet_training, "_METHOD", 1)
    train(training, tmp_path, max_steps=2)
    monkeypatch.undo()
    assert "(method changed)" in train(training, tmp_path, max_steps=2).messages()[0]


def test_what_is_left_out_and_the_same_in_words_are_one_training(training: Path, tmp_path: Path) -> None:
    few: dict[str, Any] = {"depth": 1, "width": 2, "max_steps": 1}
    for params in (few, few | {"crop": 128, "batch_size": 4, "loss": "dice+bce", "squash": False, "max_steps": 2}):
        events = Events()
        unet_train.run(unet_train.Params.parse(params), context(training, tmp_path, events))
    assert "from step 1 to 2" in events.messages()[0]
    assert not list((tmp_path / "state").glob("set-aside-*"))


def test_colours_and_sixteen_bits(pictures: list[Picture], tmp_path: Path) -> None:
    colour = [Picture(p.name, np.stack([p.image.astype(np.uint16) * 200] * 3, -1), p.labels) for p in pictures]
    write_set(tmp_path / "colour.h5", colour)
    train(tmp_path / "colour.h5", tmp_path, max_steps=2)
    assert unet_models.read_model(tmp_path / "partial" / "model")[0].channels == 3


def test_the_blogs_network_comes_with_its_settings(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "_BLOG_FILTERS", (2,) * 8)
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
    params = {"architecture": "blog", "max_steps": 2, "validation_steps": 1}
    events = Events()
    # As the plan writes it: with all defaults.
    full = unet_train.Params.parse(params).model_dump(mode="json")
    unet_train.run(unet_train.Params.parse(full), context(training, tmp_path, events))
    assert seen == [(12, 256, 256, 1)] * 4
    assert resized.count((256, 256)) == 11  # six images and five targets, however often they are looked at
    assert len(resized) == 11 + 2  # and back, at each look
    network, _ = unet_models.read_model(tmp_path / "partial" / "model")
    assert network == ("blog", 1, 8, 2, True)
    assert 0 < looks(events)[0][1] < 1  # dice


@pytest.mark.real_data
def test_the_blogs_training_lowers_the_dice_loss_on_real_images(shared: Path) -> None:
    """The network in full, on nuclei squashed to 256 x 256, as in the post."""
    files = sorted((shared / "dsb2018" / "images").iterdir())[:12]
    images, truths, middles = [], [], []
    for file in files:
        labels = np.asarray(Image.open(shared / "dsb2018" / "labels" / file.name)).astype(np.int32)
        images.append(squash(normalise(np.asarray(Image.open(file)), 1)))
        truths.append(squash(targets(labels)[..., :1]))
        middles.append(centres(labels))
    keras.utils.set_random_seed(1)
    model = unet.build(unet.blog(squash=True))
    examples = Examples(images, truths, middles, 256, 4, np.random.default_rng(1), augment=False)
    step = backend.training_step(model, keras.optimizers.Adam(0.001), dice)
    losses = [step(*examples.batch())[0] for _ in range(10)]
    assert np.mean(losses[:2]) > 0.4
    assert np.mean(losses[-2:]) < 0.8 * np.mean(losses[:2])


def test_a_loss_that_is_not_a_number_stops(training: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"the loss is not a number at step \d+: training diverged; try a learning_ra"):
        train(training, tmp_path, learning_rate=1e38, max_steps=100, schedule="constant")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p[:1], "holds one picture, cells0; training needs two or more, as one is kept out"),
        (lambda p: [*p, Picture("new", p[0].image)], "new has no labels to learn from; connect the training set"),
        (lambda p: [Picture(q.name, q.image, q.labels * 0) for q in p], "no cell is drawn in any of the 6 pictures"),
    ],
)
def test_sets_that_teach_nothing_are_refused(
    change: Callable[[list[Picture]], list[Picture]], words: str, pictures: list[Picture], tmp_path: Path
) -> None:
    write_set(tmp_path / "odd.h5", change(pictures))
    with pytest.raises(InputError, match=f"odd.h5: {words}"):
        train(tmp_path / "odd.h5", tmp_path)
