from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodrunner.segmentation.turns import find_turn, middle
from floodrunner.stages.readers.label_place import outer_sections
from tests.segmentation.drifting_cells import cells, picture

TURNS = {
    "mirrored left to right": lambda image: image[..., ::-1],
    "mirrored top to bottom": lambda image: image[..., ::-1, :],
    "turned by 180 degrees": lambda image: np.rot90(image, 2, (-2, -1)),
    "transposed (x and y swapped)": lambda image: np.swapaxes(image, -2, -1),
    "turned by 90 degrees to the left": lambda image: np.rot90(image, 1, (-2, -1)),
    "turned by 90 degrees to the right": lambda image: np.rot90(image, -1, (-2, -1)),
    "transposed and turned by 180 degrees": lambda image: np.swapaxes(np.rot90(image, 2, (-2, -1)), -2, -1),
}
UNDONE_BY = {"turned by 90 degrees to the left": "turned by 90 degrees to the right"}
UNDONE_BY |= {there: back for back, there in UNDONE_BY.items()}


def nuclei(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of bright discs and their ids, 128 x 128."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :128]
    ids = np.zeros((128, 128), int)
    for k, (at_y, at_x) in enumerate(rng.uniform(0, 128, (12, 2)), 1):
        ids[(y - at_y) ** 2 + (x - at_x) ** 2 < 50] = k
    return np.where(ids > 0, 90, 30) + rng.normal(0, 20, ids.shape), ids


@pytest.mark.parametrize("membrane", [60, 240])
@pytest.mark.parametrize("how", TURNS)
def test_turned_and_mirrored_labels_are_found(how: str, membrane: int) -> None:
    labels = cells(3, seed=6)
    image = picture(labels, membrane)
    turn = find_turn(image, TURNS[UNDONE_BY.get(how, how)](labels))
    assert (turn.how, turn.nowhere) == (how, False)
    assert turn.there > 3 * turn.here
    right = find_turn(image, labels)
    assert (right.how, right.nowhere, right.here) == ("", False, right.there)
    assert right.here == pytest.approx(turn.there)


@pytest.mark.parametrize("how", TURNS)
def test_turned_masks_of_a_single_picture_are_found(how: str) -> None:
    image, ids = nuclei()
    for labels in (ids, ids > 0):
        assert find_turn([image], [labels]).how == ""
        assert find_turn([image], [TURNS[UNDONE_BY.get(how, how)](labels)]).how == how


def test_on_a_rectangle_labels_can_only_be_mirrored() -> None:
    labels = cells(3, seed=6)
    image = picture(labels)
    part, of_labels = image[:, 4:60], labels[:, 4:60]
    assert find_turn(part, of_labels[:, ::-1]).how == "mirrored top to bottom"
    assert find_turn(image, labels.swapaxes(1, 2), square=False).how == ""


def test_labels_in_the_reverse_order_of_sections_are_found() -> None:
    labels = cells(32, seed=6)[::8]
    image = picture(labels)
    assert find_turn(image, labels[::-1], reverse=lambda: image[::-1]).how == "put in the reverse order of sections"
    assert find_turn(image, labels[::-1, ::-1], reverse=lambda: image[::-1]).how == (
        "mirrored top to bottom and put in the reverse order of sections"
    )
    assert find_turn(image, labels, reverse=lambda: image[::-1]).how == ""


def test_labels_of_another_image_fit_nowhere() -> None:
    labels, others = cells(6, seed=6), cells(6, seed=7)
    turn = find_turn(picture(labels), others)
    assert (turn.how, turn.nowhere) == ("", True)
    assert turn.here < 0.15


def test_few_small_objects_do_not_tell() -> None:
    labels = np.zeros((1, 64, 64), int)
    labels[0, 40:44, 50:54] = 1
    noise = np.random.default_rng(3).normal(100, 30, labels.shape)
    turn = find_turn(noise, labels)
    assert (turn.how, turn.nowhere) == ("", False)


@pytest.mark.parametrize("contrast", [1, 3])
def test_of_correct_labels_none_are_turned_or_nowhere(contrast: int) -> None:
    for seed in range(5):
        labels = cells(2, seed)
        assert (turn := find_turn(picture(labels, 150 - 10 * contrast, seed), labels)).how == ""
        assert not turn.nowhere
        image, ids = nuclei(seed)
        turn = find_turn([image], [np.where(ids < 3, ids, 0)])
        assert (turn.how, turn.nowhere) == ("", False)


def test_labels_that_fit_both_ways_are_left_alone() -> None:
    labels = cells(2, seed=6)
    labels = np.concatenate([labels[..., :32], labels[..., 31::-1]], axis=2)
    assert find_turn(picture(labels), labels[..., ::-1]).how == ""


def test_without_contrast_or_outlines_there_is_no_turn() -> None:
    labels = cells(2, seed=6)
    assert find_turn(np.full(labels.shape, 9), labels) is None
    assert find_turn(picture(labels), np.ones_like(labels)) is None
    assert find_turn(picture(labels), np.zeros_like(labels)) is None


@pytest.mark.parametrize("shape", [(2000, 3001), (1024, 1025), (20, 1), (1023, 1024)])
def test_the_middle_stays_in_place_when_turned(shape: tuple[int, int]) -> None:
    for n, part in zip(shape, middle(shape), strict=True):
        assert part.start == n - part.stop
        assert part.stop - part.start == (n if n <= 1024 else 1024 - n % 2)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["snemi3d", "isbi2012"])
@pytest.mark.parametrize("how", TURNS)
def test_turned_real_labels(shared: Path, name: str, how: str) -> None:
    def read(what: str) -> np.ndarray:
        files = sorted((shared / name / what).iterdir())[:14:6]
        return np.stack([np.asarray(Image.open(file))[:256, :256] for file in files])

    image, labels = read("images"), read("labels")
    assert find_turn(image, TURNS[UNDONE_BY.get(how, how)](labels)).how == how
    assert find_turn(image, labels).how == ""


@pytest.mark.parametrize("by", [(12, -20), (-7, 3), (0, 9)])
def test_moved_labels_are_found(by: tuple[int, int]) -> None:
    labels = cells(4, seed=6)
    turn = find_turn(picture(labels), np.roll(labels, by, (1, 2)))
    assert (turn.how, turn.clear, turn.nowhere, turn.by) == ("", True, False, (-by[0], -by[1]))
    assert turn.there > 1.4 * turn.here


@pytest.mark.parametrize("by", [0, 2])
def test_labels_that_are_off_by_little_are_not_moved(by: int) -> None:
    labels = cells(4, seed=6)
    for membrane in (60, 240):
        assert find_turn(picture(labels, membrane), np.roll(labels, by, 2)).by is None


NAMES = ("snemi3d", "isbi2012", "dsb2018")
Crop = tuple[list[np.ndarray], list[np.ndarray]]


def real(shared: Path, name: str) -> Crop:
    images, labels = (
        [np.asarray(Image.open(file)) for file in sorted((shared / name / what).iterdir())]
        for what in ("images", "labels")
    )
    return images, labels


def crops(images: list[np.ndarray], labels: list[np.ndarray], depth: int, side: int, count: int) -> Iterator[Crop]:
    """Cuts out consecutive sections at random places that have labels."""
    rng = np.random.default_rng([depth, side])
    while count:
        z = int(rng.integers(len(images) - depth + 1))
        if min(images[z].shape) < side:
            continue
        y, x = (int(rng.integers(n - side + 1)) for n in images[z].shape)
        image, ids = ([each[k][y : y + side, x : x + side] for k in range(z, z + depth)] for each in (images, labels))
        if all(len(np.unique(section)) > 1 for section in ids):
            count -= 1
            yield image, ids


def changed(crop: Crop, k: int) -> Crop:
    """Leaves a crop as it is, inverts it, adds noise, or removes all objects but the first and the last one."""
    image, labels = crop
    if k == 1:
        image = [255 - section for section in image]
    if k == 2:
        rng = np.random.default_rng(0)
        image = [section + rng.normal(0, 25, section.shape) for section in image]
    if k == 3:
        ids = np.unique(labels)
        labels = [np.where(np.isin(section, ids[[1, -1]]), section, 0) for section in labels]
    return image, labels


@pytest.mark.real_data
def test_real_crops(shared: Path) -> None:
    """The figures in the docstring of `find_turn`."""
    found: Counter[int] = Counter()
    ways = list(TURNS)
    for name in NAMES:
        images, labels = real(shared, name)
        for side in (64, 128, 256):
            depth = 1 if name == "dsb2018" or side == 64 else 2
            for k, crop in enumerate(crops(images, labels, depth, side, 24)):
                image, ids = changed(crop, k % 4)
                right = find_turn(image, ids)
                assert right is not None
                assert (right.how, right.nowhere, right.by) == ("", False, None)
                if k % 4 != 3:
                    how = ways[k % 7]
                    turn = find_turn(image, [TURNS[UNDONE_BY.get(how, how)](section) for section in ids])
                    assert turn is not None
                    assert turn.how in ("", how)
                    found[side] += turn.how == how
    assert found[64] >= 23
    assert found[128] >= 46
    assert found[256] == 54


@pytest.mark.real_data
def test_real_stacks_in_reverse_order(shared: Path) -> None:
    images, labels = real(shared, "snemi3d")
    for depth, least in ((6, 19), (12, 20)):
        found = 0
        for image, ids in crops(images, labels, depth, 256, 20):
            numbers = outer_sections(depth)
            some, of_labels, of_reversed = ([each[k] for k in numbers] for each in (image, ids, ids[::-1]))
            backwards = [image[::-1][k] for k in numbers]
            right = find_turn(some, of_labels, reverse=lambda backwards=backwards: backwards)
            assert (right.how, right.nowhere, right.by) == ("", False, None)
            turn = find_turn(some, of_reversed, reverse=lambda backwards=backwards: backwards)
            assert turn.how in ("", "put in the reverse order of sections")
            found += bool(turn.how)
        assert found >= least
