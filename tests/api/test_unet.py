"""`UNet.predict` gives what the stage gives; `overlay` draws it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floodrunner
from floodrunner import InputError, Picture
from floodrunner.stages.storage.image_sets import read_set, write_set


@pytest.fixture
def model(unet_folder: Path) -> floodrunner.UNet:
    found = floodrunner.load(unet_folder)
    assert isinstance(found, floodrunner.UNet)
    return found


def test_it_is_the_same_as_the_stage(
    run_stage: Callable[..., Any], model: floodrunner.UNet, picture: np.ndarray, tmp_path: Path
) -> None:
    threshold = float(np.median(model.predict(picture).probability))
    params = {"threshold": threshold, "min_size": 3, "test_time_augmentation": True}
    write_set(tmp_path / "images.h5", [Picture("one", picture, pixel_size_xy=(500.0, 250.0))])
    result = run_stage("unet-predict", {"images": tmp_path / "images.h5", "model": model.folder}, **params)
    (expected,) = read_set(result["predicted"])
    found = model.predict(picture, pixel_size_xy=(500, 250), **params)
    assert found.labels.max() > 1
    np.testing.assert_array_equal(found.labels, expected.labels)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.probability, expected.probability)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.mask, found.labels > 0)
    assert found.labels.dtype == np.int32
    with open(result["predicted"].parent / "cells.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.table) == found.labels.max()
    for row, ours in zip(rows, found.table, strict=True):
        assert ours.keys() == row.keys() - {"image"}
        assert {name: float(row[name]) for name in ours} == pytest.approx(ours, rel=1e-3, abs=1e-3)
    assert model.predict(picture).table[:1] == [] or model.predict(picture).table[0]["area_um2"] is None


def test_a_picture_is_the_same_from_a_file_and_as_an_array(
    model: floodrunner.UNet, picture: np.ndarray, tmp_path: Path
) -> None:
    floodrunner.write(tmp_path / "a.png", picture)
    (from_file,) = floodrunner.read_pictures(tmp_path / "a.png")
    expected = model.predict(from_file).probability
    alpha = np.dstack([picture] * 3 + [np.full_like(picture, 255)])
    for same in (picture, picture[..., None], np.dstack([picture] * 3), alpha):
        np.testing.assert_array_equal(model.predict(same).probability, expected)
    np.testing.assert_allclose(model.predict(picture.astype(np.float64)).probability, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.astype(np.int64), "picture: is 64-bit signed grey; save it as 8- or 16-bit grey or RGB"),
        (lambda p: np.where(p > 100, np.nan, p), "picture: has pixels that are not numbers"),
        (lambda p: p[0], r"picture: is an array of shape \(64,\); a picture is \(y, x\) or \(y, x, 3\)"),
        (lambda p: np.dstack([p] * 4), "picture: has transparent pixels"),
    ],
)
def test_what_is_no_picture_is_refused(
    change: Callable[[np.ndarray], np.ndarray], words: str, model: floodrunner.UNet, picture: np.ndarray
) -> None:
    with pytest.raises(InputError, match=words):
        model.predict(change(picture))


def test_a_wrong_parameter_is_named(model: floodrunner.UNet, picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="unknown key 'treshold'; did you mean 'threshold'"):
        model.predict(picture, treshold=0.3)
    with pytest.raises(InputError, match="threshold: found 2; write a number less than 1"):
        model.predict(picture, threshold=2)


def test_labels_are_drawn_over_any_picture(picture: np.ndarray) -> None:
    labels = (picture > 100).astype(np.int64)
    for image in (picture, picture * np.uint16(200), picture / 255, np.dstack([picture] * 3)):
        drawn = floodrunner.overlay(image, labels)
        assert drawn.dtype == np.uint8
        assert drawn.shape == (48, 64, 3)
        coloured = (drawn != drawn[..., :1]).any(axis=2)
        np.testing.assert_array_equal(coloured, labels > 0)
    with pytest.raises(InputError, match="give one section of each"):
        floodrunner.overlay(picture, labels[:3])
