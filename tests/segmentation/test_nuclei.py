"""The phantom of nuclei: what is promised of picture and truth."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from floodrunner.segmentation.phantom import nuclei as module
from floodrunner.segmentation.phantom.nuclei import Nuclei, nuclei
from floodrunner.segmentation.scores.detection import average_precision

pytestmark = pytest.mark.xdist_group("nuclei")  # one worker makes the pictures that these tests share

SEEDS = range(1, 7)


@pytest.fixture(scope="module")
def made() -> list[tuple[np.ndarray, np.ndarray]]:
    return [nuclei((200, 256), seed) for seed in SEEDS]


def neighbours(labels: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of ids that lie side by side somewhere."""
    found = set()
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        border = (one != other) & (one > 0) & (other > 0)
        found |= {tuple(sorted(pair)) for pair in zip(one[border].tolist(), other[border].tolist(), strict=True)}
    return found


def test_types_shapes_and_ids(made) -> None:
    for image, labels in made:
        assert image.shape == labels.shape == (200, 256)
        assert (image.dtype, labels.dtype) == (np.uint8, np.int32)
        assert np.unique(labels).tolist() == list(range(labels.max() + 1))
        assert 12 <= labels.max() <= 45


def test_every_nucleus_is_one_piece_and_no_sliver(made) -> None:
    for _, labels in made:
        for id_ in range(1, labels.max() + 1):
            assert ndimage.label(labels == id_)[1] == 1
        assert np.bincount(labels.ravel())[1:].min() >= 0.15 * np.pi / 4 * 24**2


def test_sizes_are_as_asked(made) -> None:
    inner = []
    for _, labels in made:
        edge = {*labels[0], *labels[-1], *labels[:, 0], *labels[:, -1]}
        sizes = np.bincount(labels.ravel())
        inner += [2 * np.sqrt(sizes[id_] / np.pi) for id_ in range(1, len(sizes)) if id_ not in edge]
    assert 20 < np.median(inner) < 26
    assert np.std(inner) > 2
    share = np.mean([(labels > 0).mean() for _, labels in made])
    assert 0.15 < share < 0.25
    assert (nuclei((200, 256), 1, crowding=0.4)[1] > 0).mean() > 0.3
    assert np.bincount(nuclei((200, 256), 1, diameter=48)[1].ravel())[1:].max() > 1500


def test_nuclei_touch_so_that_the_mask_alone_does_not_tell_them_apart(made) -> None:
    assert all(len(neighbours(labels)) >= 3 for _, labels in made)
    alone = [average_precision(ndimage.label(labels > 0)[0], labels)[0] for _, labels in made]
    assert 0.3 < np.mean(alone) < 0.8
    touching = [len({id_ for pair in neighbours(labels) for id_ in pair}) / labels.max() for _, labels in made]
    assert 0.3 < np.mean(touching) < 0.9


def test_the_picture_shows_what_the_labels_say(made) -> None:
    for image, labels in made:
        shown = ndimage.mean(image, labels, range(1, labels.max() + 1))
        outside = ndimage.distance_transform_edt(labels == 0) > 6
        for id_, brightness in enumerate(shown, 1):
            around = outside & (ndimage.distance_transform_edt(labels != id_) < 20)
            assert brightness > image[around].mean() + 8
        assert np.std(shown) > 5  # not all equally bright
        smooth = ndimage.gaussian_filter(image.astype(float), 1)
        correct = np.mean([(smooth > cut) == (labels > 0) for cut in range(20, 80, 5)], axis=(1, 2)).max()
        assert 0.9 < correct < 0.999


def test_between_touching_nuclei_there_is_a_faint_valley() -> None:
    borders, insides = [], []
    for seed in range(10):
        image, labels = nuclei((200, 256), seed, noise=0)
        inside = ndimage.distance_transform_edt(labels > 0)
        for a, b in neighbours(labels):
            beside = ndimage.binary_dilation(labels == a) & (labels == b) & (inside > 4)
            if beside.sum() > 3:
                borders.append(image[beside].mean())
                deep = ndimage.distance_transform_edt(np.isin(labels, [b])) > 5
                insides.append(image[deep].mean() if deep.any() else np.nan)
    assert len(borders) > 20
    assert 0.6 < np.nanmean(np.array(borders) / np.array(insides)) < 0.97


def test_background_is_uneven_and_noise_is_as_asked() -> None:
    quiet, labels = nuclei((200, 256), 3, noise=0)
    loud, same = nuclei((200, 256), 3, noise=20)
    np.testing.assert_array_equal(labels, same)  # noise does not move nuclei
    outside = ndimage.distance_transform_edt(labels == 0) > 12
    assert np.ptp(quiet[outside]) > 5
    grains = loud[outside].astype(float) - quiet[outside]
    assert 10 < grains.std() < 25


def test_an_outline_is_where_its_formula_says() -> None:
    one = Nuclei(
        np.array([[30.2, 25.7]]), np.array([12.0]), np.array([[0.2, 0.05, 0, 0, 0.03]]), np.array([[0.3, 1, 0, 0, 2.0]])
    )
    drawn = module._draw(one, (60, 55))
    for y in range(60):
        for x in range(55):
            angle = np.arctan2(y - 30.2, x - 25.7)
            radius = 12 * (
                1 + 0.2 * np.cos(2 * angle + 0.3) + 0.05 * np.cos(3 * angle + 1) + 0.03 * np.cos(6 * angle + 2)
            )
            assert drawn[y, x] == (np.hypot(y - 30.2, x - 25.7) < radius)
    assert drawn.sum() > 300


def test_where_two_overlap_the_border_is_halfway() -> None:
    two = Nuclei(np.array([[20.0, 20.0], [20.0, 36.0]]), np.array([10.0, 10.0]), np.zeros((2, 5)), np.zeros((2, 5)))
    drawn = module._draw(two, (41, 60))
    assert (drawn[20, 11:28] == 1).all()
    assert (drawn[20, 29:45] == 2).all()
    assert drawn[20, [9, 47]].tolist() == [0, 0]


def test_of_a_nucleus_in_pieces_the_largest_stays() -> None:
    drawn = np.zeros((30, 40), np.int32)
    drawn[2:12, 2:12], drawn[20:26, 2:8] = 3, 3
    drawn[2:12, 12:22] = 1
    drawn[28:, 38:] = 2  # a sliver
    drawn[15:21, 30:36] = drawn[24:30, 30:36] = 5  # two pieces of one size
    labels = module._truth(drawn, 6)
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
    assert labels[2, 2] != labels[2, 12]
    assert labels[20, 2] == labels[28, 38] == labels[24, 30] == 0
    assert labels[15, 30] > 0


def test_the_same_seed_gives_the_same_bytes() -> None:
    def digest(seed: int) -> str:
        return hashlib.sha256(b"".join(array.tobytes() for array in nuclei((100, 90), seed))).hexdigest()

    code = """
import hashlib
from floodrunner.segmentation.phantom.nuclei import nuclei
print(hashlib.sha256(b"".join(array.tobytes() for array in nuclei((100, 90), 5))).hexdigest())
"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert digest(5) == digest(5) == other
    assert len({digest(seed) for seed in range(4)}) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"diameter": 5}, "diameter is 5 pixels; make it at least 6"),
        ({"diameter": float("nan")}, "diameter is nan pixels"),
        (
            {"diameter": 60},
            "a picture of 110 x 100 pixels is too small for nuclei of diameter 60; make it at least 120 wide",
        ),
        ({"crowding": 0}, "crowding is 0; it must be a share"),
        ({"crowding": 1.2}, "crowding is 1.2"),
        ({"seed": -1}, "seed -1, noise 6: neither may be negative"),
        ({"noise": -2}, "seed 1, noise -2: neither may be negative"),
        ({"noise": float("inf")}, "noise must be finite"),
    ],
)
def test_refuses(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        nuclei((100, 110), **{"seed": 1, **changes})  # type: ignore[arg-type]
