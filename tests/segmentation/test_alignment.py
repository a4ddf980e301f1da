from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.alignment import boundaries, find_turn, middle, shift_of_sections


def cells(sections: int, seed: int) -> np.ndarray:
    """Voronoi cells whose seeds drift from section to section: (z, y, x)."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, 64, (25, 2))
    grid = np.moveaxis(np.mgrid[:64, :64], 0, -1)[:, :, None]
    volume = []
    for _ in range(sections):
        at = at + rng.normal(0, 2, at.shape)
        volume.append(np.argmin(((grid - at) ** 2).sum(-1), axis=-1) + 1)
    return np.array(volume)


def picture(labels: np.ndarray, membrane: int = 60, seed: int = 0) -> np.ndarray:
    image = np.full(labels.shape, 150.0)
    for section, ids in zip(image, labels, strict=True):
        section[boundaries(ids)] = membrane
    return np.clip(image + np.random.default_rng(seed).normal(0, 30, image.shape), 0, 255).astype(np.uint8)


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
