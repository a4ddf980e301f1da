from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodrunner.segmentation.alignment import boundaries, shift_of_sections
from tests.segmentation.drifting_cells import cells, picture


def test_boundaries_by_brute_force() -> None:
    labels = np.random.default_rng(1).integers(0, 3, (9, 11))
    padded = np.pad(labels, 1, mode="edge")
    for y, x in np.ndindex(labels.shape):
        around = [padded[y + 1 + dy, x + 1 + dx] for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        assert boundaries(labels)[y, x] == any(other != labels[y, x] for other in around)


@pytest.mark.parametrize("membrane", [60, 240])  # dark, or bright
@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_shift_is_found(shift: int, membrane: int) -> None:
    labels = cells(14, seed=3)
    image = picture(labels, membrane)
    found = shift_of_sections([(image[1:13], labels[1 + shift : 13 + shift])])
    assert found is not None
    assert found[0] == shift
    assert (found[1] > 1.4 * found[2]) == (shift != 0)


def test_several_blocks_count_together() -> None:
    labels = cells(14, seed=3)
    image = picture(labels)
    blocks = [(image[a : a + 4], labels[a + 1 : a + 5]) for a in (0, 3, 6, 9)]  # 2 sections each, but 8 in all
    assert shift_of_sections(blocks[:1])[0] == 0
    assert shift_of_sections(blocks)[0] == 1


def test_where_nothing_tells_there_is_no_shift() -> None:
    labels = cells(12, seed=4)
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, labels.shape, np.uint8)
    assert shift_of_sections([(noise, labels)])[0] == 0
    assert shift_of_sections([(np.full_like(noise, 9), labels)]) is None
    assert shift_of_sections([(noise, np.ones_like(labels))]) is None
    assert shift_of_sections([(noise[:2], labels[:2])]) is None
    assert shift_of_sections([]) is None
    same = np.broadcast_to(labels[0], labels.shape)  # sections alike: any shift fits
    assert shift_of_sections([(picture(same), same)])[0] == 0


def test_one_section_of_strong_contrast_shifts_nothing() -> None:
    labels = np.broadcast_to(cells(1, seed=4)[0], (8, 64, 64))
    image = picture(labels, membrane=140)
    image[7] = picture(labels[7:], membrane=30)[0]
    shift, _, own = shift_of_sections([(image, labels)])
    contrast = [
        (grey[boundaries(ids)].mean() - grey.mean()) / grey.std() for grey, ids in zip(image, labels, strict=True)
    ]
    assert abs(np.mean(contrast[2:])) > 1.4 * abs(np.mean(contrast[1:7]))  # the one after is better, by one section
    assert shift == 0
    assert own > 0


def test_a_contrast_that_is_a_little_better_shifts_nothing() -> None:
    labels = np.broadcast_to(cells(1, seed=4)[0], (10, 64, 64))
    image = np.concatenate([picture(labels[:1], membrane=120 - 4 * z) for z in range(10)])
    shift, there, own = shift_of_sections([(image, labels)])
    assert (shift, there) == (0, own)
    at_their_own = shift_of_sections([(image[:9], labels[:9])])[1]
    at_the_next = shift_of_sections([(image[1:], labels[:9])])[1]
    assert at_the_next > at_their_own


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["snemi3d", "isbi2012"])
@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_real_labels(shared: Path, name: str, shift: int) -> None:
    def read(what: str) -> np.ndarray:
        files = sorted((shared / name / what).iterdir())[:14]
        return np.stack([np.asarray(Image.open(file)) for file in files])

    image, labels = read("images"), read("labels")
    found = shift_of_sections([(image[1:13], labels[1 + shift : 13 + shift])])
    assert found is not None
    assert found[0] == shift
