from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.image_sets import read_set

SMALL = {"pictures": 3, "test_pictures": 2, "width": 96, "height": 72, "diameter": 16}


def test_writes_two_sets_without_a_picture_in_common(run_stage) -> None:
    result = run_stage("phantom-cells", {}, **SMALL)
    training, test = read_set(result["training"]), read_set(result["test"])
    assert [picture.name for picture in training] == ["0001", "0002", "0003"]
    assert [picture.name for picture in test] == ["0004", "0005"]
    for picture in (*training, *test):
        assert picture.image.shape == picture.labels.shape == (72, 96)
        assert picture.image.dtype == np.uint8
        assert picture.labels.max() > 2
    assert len({picture.image.tobytes() for picture in (*training, *test)}) == 5
    assert {event["name"]: event["value"] for event in result.reported("metric")} == {
        "training_cells": sum(picture.labels.max() for picture in training),
        "test_cells": sum(picture.labels.max() for picture in test),
    }
    (artifact,) = result.reported("artifact")
    sheet = Image.open(result["test"].parent / artifact["path"])
    assert sheet.width == 3 * (4 * 96) + 4 * 8  # three pictures, enlarged four times, with gaps around them


def test_the_same_seed_gives_the_same_files(run_stage) -> None:
    one, other = (run_stage("phantom-cells", {}, **SMALL) for _ in range(2))
    for port in ("training", "test"):
        assert one[port].read_bytes() == other[port].read_bytes()
    changed = run_stage("phantom-cells", {}, **SMALL, seed=2)
    assert read_set(changed["training"])[0].image.tobytes() != read_set(one["training"])[0].image.tobytes()


def test_settings_reach_the_picture(run_stage) -> None:
    plain = read_set(run_stage("phantom-cells", {}, **SMALL)["test"])[0]
    for setting in ({"noise": 30}, {"crowding": 0.5}, {"diameter": 20.0}):
        changed = read_set(run_stage("phantom-cells", {}, **{**SMALL, **setting})["test"])[0]
        assert not np.array_equal(changed.image, plain.image), setting


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 30}, "phantom-cells: a picture of 30 x 72 pixels is too small for nuclei of diameter 16; "),
        ({"crowding": 2.0}, "phantom-cells: crowding is 2; "),
        ({"noise": -1}, "phantom-cells: seed "),
    ],
)
def test_refuses(run_stage, settings: dict[str, float], words: str) -> None:
    with pytest.raises(InputError) as error:
        run_stage("phantom-cells", {}, **{**SMALL, **settings})
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings", [{"seed": -1}, {"pictures": 1}, {"test_pictures": 0}, {"cells": 9}])
def test_refuses_settings_of_the_wrong_type(run_stage, settings: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        run_stage("phantom-cells", {}, **settings)
