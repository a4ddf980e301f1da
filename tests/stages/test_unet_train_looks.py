"""What a U-Net's training does with its looks at the validation pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentation import backend
from segmentation.unet import prediction
from segmentation.unet.instances import targets
from segmentation.unet.losses import Pooled
from segmentation.unet.normalisation import normalise
from stages.storage import unet_models
from stages.storage.image_sets import Picture, write_set
from tests.stages.test_unet_train import drawn, looks, same_weights, train


@pytest.fixture
def pictures() -> list[Picture]:
    return [drawn(n, shape, n) for n, shape in enumerate([(48, 40), (30, 64), (24, 28), (50, 50), (33, 47), (40, 40)])]


@pytest.fixture
def training(pictures: list[Picture], tmp_path: Path) -> Path:
    write_set(tmp_path / "training.h5", pictures)
    return tmp_path / "training.h5"


def test_a_look_takes_all_validation_pictures_as_one(training: Path, pictures: list[Picture], tmp_path: Path) -> None:
    events = train(training, tmp_path, max_steps=20, validation_steps=20, validation_fraction=0.5)
    network, model = unet_models.read_model(tmp_path / "partial" / "model")
    names = json.loads((tmp_path / "partial" / "model" / "network.json").read_text())["validation"]
    together, alone = Pooled(), []
    for picture in pictures:
        if picture.name in names:
            assert picture.labels is not None
            found = prediction.picture(backend.forward(model), network, normalise(picture.image, 1), 1024)
            together.add(targets(picture.labels), found)
            alone.append(Pooled())
            alone[-1].add(targets(picture.labels), found)
    assert len(alone) == 3
    expected = together.value("dice+bce")
    assert looks(events) == [(20, pytest.approx(expected, rel=1e-5))]
    assert abs(np.mean([each.value("dice+bce") for each in alone]) / expected - 1) > 1e-3


def test_the_best_weights_are_kept_and_training_stops_early(training: Path, tmp_path: Path) -> None:
    """A learning rate that only makes things worse after a while."""
    events = train(
        training, tmp_path, max_steps=400, validation_steps=5, patience=3, learning_rate=0.2, schedule="constant"
    )
    found = looks(events)
    losses = [loss for _, loss in found]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 3 < 80
    assert f"stopped after {found[-1][0]} of 400 steps: 3 looks in a row found nothing better" in events.messages()
    about = json.loads((tmp_path / "partial" / "model" / "network.json").read_text())
    assert about["step"] == found[best][0]

    # The model is what it was at that step: trained no further, the last look is the best.
    train(training, tmp_path / "to the best", max_steps=found[best][0], validation_steps=5, learning_rate=0.2,
          schedule="constant", patience=100)  # fmt: skip
    same_weights(tmp_path, tmp_path / "to the best")


def test_more_patience_goes_on(training: Path, tmp_path: Path) -> None:
    params: dict[str, Any] = {"max_steps": 60, "validation_steps": 5, "learning_rate": 0.2, "schedule": "constant"}
    ended = looks(train(training, tmp_path, patience=1, **params))[-1][0]
    assert ended < 60
    assert not looks(train(training, tmp_path, patience=1, **params))  # all done
    messages = train(training, tmp_path, patience=100, **params).messages()
    assert messages[0] == "going on with patience 1 -> 100"
    assert f"from step {ended} to 60" in messages[1]


def test_minutes_are_a_limit_too(training: Path, tmp_path: Path) -> None:
    events = train(training, tmp_path, max_steps=10**6, max_minutes=0.03)
    assert any("max_minutes, 0.03, are over" in text for text in events.messages())
    assert looks(events)  # even if that is between two looks
    assert (tmp_path / "partial" / "model" / "weights.h5").exists()
