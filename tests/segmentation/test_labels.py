from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label

from floodrunner.segmentation.labels import (
    clear_unlabelled,
    connected_pieces,
    ids_to_rgb,
    number_pieces,
    rgb_to_ids,
    to_greys,
)

RNG = np.random.default_rng(2)


def slabs(volume: np.ndarray, depth: int) -> list[np.ndarray]:
    return [volume[z : z + depth] for z in range(0, len(volume), depth)]


def snake() -> np.ndarray:
    """One id that goes down, across and up again, so that its pieces in the upper slabs meet only far below."""
    volume = np.zeros((9, 5, 9), np.uint16)
    volume[:, 2, 1] = volume[:, 2, 7] = 5
    volume[8, 2, 1:8] = 5
    volume[:, 0, 4] = 5  # a second piece
    return volume


VOLUMES = {
    "noise": RNG.integers(0, 4, (12, 9, 11)).astype(np.uint8),
    "sparse": np.where(RNG.random((13, 10, 10)) < 0.12, RNG.integers(1, 3, (13, 10, 10)), 0).astype(np.uint32),
    "blocks": RNG.integers(0, 9, (4, 3, 3)).repeat(3, 0).repeat(4, 1).repeat(5, 2).astype(np.uint64) * 2**40,
    "snake": snake(),
    "empty": np.zeros((5, 4, 4), np.uint8),
    "full": np.full((5, 4, 4), 3, np.int32),
}


@pytest.mark.parametrize("depth", [1, 2, 5, 100])
@pytest.mark.parametrize("name", VOLUMES)
def test_pieces_are_those_of_scikit_image(name: str, depth: int) -> None:
    volume = VOLUMES[name]
    _, dense = np.unique(volume, return_inverse=True)  # scikit-image has no uint64
    dense = dense.reshape(volume.shape) + (volume.min() > 0)
    expected, count = label(dense, background=0, connectivity=3, return_num=True)
    pieces = connected_pieces(slabs(volume, depth))
    numbered = np.concatenate(list(number_pieces(slabs(volume, depth), pieces)))
    assert numbered.max() == count == len(pieces.ids) - 1
    # The same pieces: each of ours is one of theirs, and the other way round.
    assert len(np.unique(np.stack([numbered.ravel(), expected.ravel()]), axis=1).T) == len(np.unique(numbered))
    np.testing.assert_array_equal(pieces.ids[numbered], volume)
    np.testing.assert_array_equal(pieces.voxels, np.bincount(numbered.ravel(), minlength=count + 1))


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_pieces_are_numbered_in_the_order_in_which_they_begin(depth: int) -> None:
    volume = np.zeros((6, 3, 8), np.uint8)
    volume[0, 1, 1], volume[1:, 1, 4], volume[4, 1, 6], volume[0, 1, 7] = 7, 2, 7, 2
    pieces = connected_pieces(slabs(volume, depth))
    assert pieces.ids.tolist() == [0, 7, 2, 2, 7]
    ids, count, voxels = pieces.of_ids()
    assert (ids.tolist(), count.tolist(), voxels.tolist()) == ([2, 7], [2, 2], [6, 2])


@pytest.mark.parametrize("depth", [1, 2, 3, 100])
def test_ids_that_touch_every_side(depth: int) -> None:
    volume = np.zeros((5, 6, 7), np.uint8)
    volume[:, 3] = volume[:, :, 3] = 4  # a cross through all sections
    volume[1:, 0, :3] = 2
    volume[0, 5, 5:], volume[4, 5, 5:] = 3, 3
    pieces = connected_pieces(slabs(volume, depth))
    assert pieces.of_ids()[0].tolist() == [2, 3, 4]
    assert pieces.on_every_side().tolist() == [False, False, True]
    for number in range(1, len(pieces.ids)):
        here = np.concatenate(list(number_pieces(slabs(volume, depth), pieces))) == number
        faces = (here[0], here[-1], here[:, 0], here[:, -1], here[:, :, 0], here[:, :, -1])
        assert pieces.sides[number] == sum(1 << k for k, face in enumerate(faces) if face.any())


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64])
def test_ids_that_mean_none(dtype: type) -> None:
    limits = np.iinfo(dtype)
    ids = np.array([[0, 5, limits.max, limits.max - 1], [5, 9, limits.max, limits.max - 3]], dtype)
    cleared, found = clear_unlabelled(ids, [9])
    largest = [limits.max] if limits.bits >= 32 else []
    if limits.bits >= 32 and limits.min == 0:
        largest.append(limits.max - 1)
    assert found == {9: 1} | {value: 2 if value == limits.max else 1 for value in largest}
    np.testing.assert_array_equal(cleared, np.where(np.isin(ids, np.array([9, *largest], dtype)), 0, ids))
    assert ids[0, 2] == limits.max
    kept, nothing = clear_unlabelled(ids[:, :2], [77])
    assert kept.base is ids
    assert nothing == {}
    if limits.min < 0:
        cleared, found = clear_unlabelled(np.array([-1, -2, -3, -4, 0, 4], dtype))
        assert cleared.tolist() == [0, 0, 0, -4, 0, 4]
        assert found == {-1: 1, -2: 1, -3: 1}


def test_corners_connect() -> None:
    volume = np.zeros((2, 2, 2), np.uint8)
    volume[0, 0, 0] = volume[1, 1, 1] = 1
    for depth in (1, 2):
        assert connected_pieces(slabs(volume, depth)).of_ids()[1].tolist() == [1]
    volume[1, 1, 1] = 2
    for depth in (1, 2):
        assert connected_pieces(slabs(volume, depth)).of_ids()[1].tolist() == [1, 1]


def test_ids_packed_as_vast_does() -> None:
    rgb = np.array([[0, 0, 0], [0, 0, 7], [0, 1, 0], [1, 0, 0], [255, 255, 255], [18, 52, 86]], np.uint8)
    ids = rgb_to_ids(rgb)
    assert ids.dtype == np.uint32
    assert ids.tolist() == [0, 7, 256, 65536, 16777215, 0x123456]
    for dtype in (np.uint32, np.uint64, np.int64):
        np.testing.assert_array_equal(ids_to_rgb(ids.astype(dtype)), rgb)
    assert Image.fromarray(ids_to_rgb(ids)[None]).getpixel((5, 0)) == (0x12, 0x34, 0x56)
    with pytest.raises(ValueError, match="id 16777216 does not fit into 24 bits of colour"):
        ids_to_rgb(np.array([3, 2**24]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int64])
def test_greys_never_turn_an_object_into_background(dtype: type) -> None:
    ids = np.arange(min(1000, np.iinfo(dtype).max + 1)).astype(dtype)
    greys = to_greys(ids)
    assert greys[:256].tolist() == list(range(256))
    assert (greys[1:] > 0).all()
    assert greys[256:260].tolist() == [1, 2, 3, 4][: len(ids) - 256 if len(ids) > 256 else 0]
