from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.objects import Measuring
from floodrunner.stages.reports.object_words import objects_in_words
from floodrunner.stages.storage.volumes import Place


def words(labels: np.ndarray, place: Place) -> str:
    measuring = Measuring(labels.shape, labels.dtype)
    measuring.add(labels, 0)
    return objects_in_words(measuring.result(), labels.size, place)


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((4, 10, 10), np.uint32)
    labels[1:3, 2:4, 2:7] = 5
    labels[0, :2, :6] = 9
    return labels


def test_largest_and_share(labels: np.ndarray) -> None:
    assert words(labels, Place((10.0, 10.0, 100.0))) == (
        "2 objects in 8 % of the volume, 1 of them away from its border; the largest, 5, has 0.0002 µm³, 62 % of all "
        "objects together: it may be many that are merged"
    )
    labels[3, 4:, :3] = 2
    assert words(labels, Place()).endswith("; the largest, 5, has 20 voxels, 40 % of all objects together")


def test_one_object_or_none(labels: np.ndarray) -> None:
    assert words(labels * 0, Place()) == "There is no object in the volume"
    assert words(labels * 0 + 1, Place()) == (
        "1 object in 100 % of the volume, none of them away from its border; the largest, 1, has 400 voxels, 100 % of "
        "all objects together"
    )
