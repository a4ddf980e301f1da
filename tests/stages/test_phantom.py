"""The phantom stage: volumes as other stages read them, the preview, and settings that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.volumes import Place, read_volume

SMALL = {"size_xyz": [96, 72, 6], "voxel_size_xyz": [8, 8, 30]}


def test_writes_volumes_with_their_voxel_size(run_stage) -> None:
    result = run_stage("phantom", {}, **SMALL)
    image, place = read_volume(result["image"])
    labels, labels_place = read_volume(result["labels"])
    assert image.shape == labels.shape == (6, 72, 96)
    assert image.dtype == np.uint8
    assert labels.dtype == np.uint32
    assert place == labels_place == Place((8.0, 8.0, 30.0), (0, 0, 0))
    assert image[labels > 0].mean() > image[labels == 0].mean() + 30
    (neurites,) = result.reported("metric")
    assert (neurites["name"], neurites["value"]) == ("neurites", labels.max())


def test_names_the_preview(run_stage) -> None:
    result = run_stage("phantom", {}, **SMALL)
    (artifact,) = result.reported("artifact")
    preview = Image.open(result["image"].parent / artifact["path"])
    image, _ = read_volume(result["image"])
    labels, _ = read_volume(result["labels"])
    pixels = np.asarray(preview)[8 + 26 :]  # below margin and title
    section, truth = pixels[: 72 * 6, 8 : 8 + 96 * 6], pixels[: 72 * 6, 16 + 96 * 6 : 16 + 2 * 96 * 6]
    assert np.array_equal(section[3::6, 3::6, 0], image[3])
    assert np.array_equal(np.ptp(truth[3::6, 3::6], axis=-1) > 0, labels[3] != 0)


def test_settings_reach_the_picture(run_stage) -> None:
    plain = run_stage("phantom", {}, **SMALL)
    for setting in ({"seed": 2}, {"noise": 30}, {"jitter": 12}, {"clutter": 0}, {"diameter": 160}):
        changed = run_stage("phantom", {}, **SMALL, **setting)
        assert not np.array_equal(read_volume(changed["image"])[0], read_volume(plain["image"])[0]), setting


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"size_xyz": [20, 96, 6]},
            "phantom: a section of 160 x 768 nm (x, y) has room for only one or two neurites of",
        ),
        ({"size_xyz": [96, 96, 0]}, "phantom: size is 96 x 96 x 0"),
        ({"voxel_size_xyz": [40.0, 40.0, 40.0]}, "make x and y at most 26.25"),
        ({"jitter": -1}, "phantom: seed 1, noise 12.0, jitter -1.0, clutter 1.0: none of them may be negative"),
    ],
)
def test_refuses(run_stage, settings, words) -> None:
    with pytest.raises(InputError) as error:
        run_stage("phantom", {}, **settings)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings", [{"seed": -1}, {"seed": 1.5}, {"size_xyz": [96, 96]}, {"sizes": [9, 9, 9]}])
def test_refuses_settings_of_the_wrong_type(run_stage, settings) -> None:
    with pytest.raises(ValidationError):
        run_stage("phantom", {}, **settings)
