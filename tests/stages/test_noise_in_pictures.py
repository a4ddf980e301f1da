"""Empty fields: what `unet-train` stores about the contrast of its pictures, and what `unet-predict` makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.unet import prediction
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.segmentation.unet.normalisation import normalise
from floodrunner.stages.storage import unet_ranges
from floodrunner.stages.storage.image_sets import Picture, write_set
from tests.stages.pairs import said
from tests.stages.test_empty_pictures import emptied
from tests.stages.test_unet_train import drawn, train

RunStage = Callable[..., Any]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Of a training on pictures with cells and empty ones."""
    write_set(tmp_path / "set.h5", [*(clear(n) for n in range(3)), emptied(3)])
    train(tmp_path / "set.h5", tmp_path, max_steps=1)
    return tmp_path / "partial" / "model"


def clear(number: int) -> Picture:
    picture = drawn(number, (64, 64), number)
    assert picture.labels is not None
    noise = np.random.default_rng(number).normal(40, 4, (64, 64))
    return Picture(picture.name, np.rint(noise + 120 * (picture.labels > 0)).astype(np.uint8), picture.labels)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the network gets to see."""
    seen: list[np.ndarray] = []

    def picture(forward: Any, network: NetworkSpec, image: np.ndarray, *rest: Any) -> np.ndarray:
        seen.append(image)
        return np.zeros((*image.shape[:2], 3), np.float32)

    monkeypatch.setattr(prediction, "picture", picture)
    return seen


@pytest.mark.usefixtures("uncompiled")
def test_noise_is_stretched_less_than_cells(
    run_stage: RunStage, model: Path, tmp_path: Path, given: list[np.ndarray]
) -> None:
    pictures = [emptied(8), clear(9)]
    write_set(tmp_path / "new.h5", pictures)
    inputs = {"images": tmp_path / "new.h5", "model": model}
    result = run_stage("unet-predict", inputs)
    assert (
        "1 picture shows little but noise (empty8), as empty fields do: their grey levels are stretched less than "
        "those of other pictures; if cells are missed, set stretch: fully"
    ) in said(result)
    cells, noise = given[-2:]  # in the order of their names
    np.testing.assert_array_equal(cells, normalise(pictures[1].image, 1))
    assert np.percentile(noise, 99) < 0.5 < np.percentile(normalise(pictures[0].image, 1), 50)
    assert not [text for text in said(run_stage("unet-predict", inputs, stretch="fully")) if "noise" in text]
    np.testing.assert_array_equal(given[-1], normalise(pictures[0].image, 1))


@pytest.mark.usefixtures("uncompiled")
def test_a_model_of_an_earlier_version_stretches_every_picture(
    run_stage: RunStage, model: Path, tmp_path: Path, given: list[np.ndarray]
) -> None:
    (model / "ranges.json").unlink()
    write_set(tmp_path / "new.h5", [emptied(8)])
    result = run_stage("unet-predict", {"images": tmp_path / "new.h5", "model": model})
    assert not [text for text in said(result) if "noise" in text]
    np.testing.assert_array_equal(given[-1], normalise(emptied(8).image, 1))


@pytest.mark.usefixtures("uncompiled")
def test_empty_training_pictures_are_not_stretched_either(tmp_path: Path, trained_on: list[np.ndarray]) -> None:
    write_set(tmp_path / "set.h5", [*(clear(n) for n in range(3)), emptied(3)])
    train(tmp_path / "set.h5", tmp_path, max_steps=1)
    brightest = sorted(float(np.percentile(image, 99.5)) for image in trained_on)
    assert brightest[0] < 0.5 < 0.9 < brightest[1]
    stored = json.loads((tmp_path / "partial/model/ranges.json").read_text())
    assert stored == {"contrast": [10]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"contrast": [-1]}', '{"contrast": [1e999]}', '{"contrast": [1, 2]}', '{"contrast": ["1"]}',
     '{"contrast": []}', '{"contrast": [1], "more": 1}'],
)  # fmt: skip
def test_damaged_ranges_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ranges.json").write_text(text)
    with pytest.raises(InputError, match=r"ranges.json: .*; put back a copy, train again, or remove the file"):
        unet_ranges.read_ranges(tmp_path, 1)
