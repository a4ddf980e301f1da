from __future__ import annotations

import numpy as np
import pytest

from floodrunner.stages.reports.overview import Shown, overview
from floodrunner.stages.storage.volumes import Place


def shown(array: np.ndarray, title: str) -> Shown:
    def part(z: slice, y: slice = slice(None)) -> np.ndarray:
        return array[z, y]

    return Shown(title, part)


def drawn(shape: tuple[int, int, int], nm: tuple[float, float, float]) -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    labels = np.ones(shape, np.uint32)
    return overview([shown(image, "image"), shown(labels, "labels")], shape, Place(nm), 0.3)


def test_a_thin_stack_is_shown_closer_in_its_proportions() -> None:
    """12 sections of 30 nm under 512 pixels of 4 nm would be 90 pixels high."""
    image = np.random.default_rng(1).integers(0, 256, (12, 40, 512), np.uint8)
    picture = overview([shown(image, "image")], image.shape, Place((4.0, 4.0, 30.0)), 0.3)
    top = 8 + 26 + 40 + 8 + 26 + 26
    cut = picture[top : top + 180, 8 : 8 + 512]
    middle = image[:, 20, 128:384]
    np.testing.assert_array_equal(cut[7::15, ::2, 0], middle)


def test_without_a_voxel_size_there_is_no_bar() -> None:
    known, unknown = (drawn((20, 512, 512), nm) for nm in ((1.0, 1.0, 1.1), (1.0, 1.0, 1.0)))
    assert unknown.shape[0] < known.shape[0]


def test_one_section_has_no_cut() -> None:
    assert drawn((1, 512, 512), (4.0, 4.0, 30.0)).shape == (8 + 26 + 512 + 8 + 26, 8 + 2 * 520, 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (3000, 4, 4), (4, 3, 5000), (40, 9, 17)])
@pytest.mark.parametrize("nm", [(1.0, 1.0, 1.0), (4.0, 4.0, 300.0), (300.0, 4.0, 4.0)])
def test_any_shape(shape: tuple[int, int, int], nm: tuple[float, float, float]) -> None:
    assert max(drawn(shape, nm).shape) < 2500
