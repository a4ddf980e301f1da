from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from floodrunner.segmentation import backend
from floodrunner.segmentation.unet import tiling
from floodrunner.segmentation.unet.architectures import classic
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.segmentation.unet.tiling import Tiles

REACH = 12


def blurred(given: np.ndarray) -> np.ndarray:
    """Stands for a network that sees 12 pixels far, and nothing beyond its input."""
    return uniform_filter(given, (1, 2 * REACH + 1, 2 * REACH + 1, 1), mode="constant")


class Counted:
    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, given: np.ndarray) -> np.ndarray:
        self.shapes.append(given.shape)
        return blurred(given)


@pytest.mark.parametrize("shape", [(64, 64), (65, 131), (200, 97), (300, 16), (129, 640)])
def test_tiles_equal_one_piece_where_the_margin_covers_the_reach(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).random((*shape, 2)).astype(np.float32)
    forward = Counted()
    found = tiling.predict(forward, image, Tiles(8, 8, 64, REACH))
    whole = [-(-n // 8) * 8 for n in shape]
    expected = blurred(
        np.pad(image, [(0, b - a) for a, b in zip(shape, whole, strict=True)] + [(0, 0)], "reflect")[None]
    )
    assert found.shape == image.shape
    np.testing.assert_allclose(found, expected[0, : shape[0], : shape[1]], atol=1e-6)
    assert all(max(each[1:3]) <= 64 and each[1] % 8 == each[2] % 8 == 0 for each in forward.shapes)
    assert (len(forward.shapes) > 1) == (max(whole) > 64)


def test_too_small_a_margin_shows() -> None:
    """So the test above can fail."""
    image = np.random.default_rng(1).random((64, 131, 1)).astype(np.float32)
    found = tiling.predict(blurred, image, Tiles(8, 8, 64, 2))
    expected = blurred(np.pad(image, ((0, 0), (0, 5), (0, 0)), "reflect")[None])[0, :, :131]
    assert np.abs(found - expected).max() > 1e-3


def test_hand_over_is_smooth() -> None:
    """Where tiles disagree, each in a value of its own, the result goes from one to the other in small steps."""
    values = iter(range(10))
    found = tiling.predict(
        lambda x: np.full_like(x, next(values)), np.zeros((8, 150, 1), np.float32), Tiles(8, 8, 80, 8)
    )
    row = found[0, :, 0]
    assert row[0] == 0
    assert row[-1] == 2
    assert (np.diff(row) >= 0).all()
    assert 0 < np.diff(row).max() < 0.15


@pytest.mark.parametrize("shape", [(1, 1), (3, 100), (256, 256), (257, 300)])
def test_pictures_smaller_than_the_shortest_tile_are_continued(shape: tuple[int, int]) -> None:
    forward = Counted()
    image = np.random.default_rng(1).random((*shape, 1)).astype(np.float32)
    assert tiling.predict(forward, image, Tiles(1, 256, 256, 32)).shape == (*shape, 1)
    assert {each[1:3] for each in forward.shapes} == {(256, 256)}


@pytest.mark.parametrize("tiles", [Tiles(8, 8, 60, 4), Tiles(8, 8, 40, 12), Tiles(8, 12, 64, 4)])
def test_impossible_tiles_are_refused(tiles: Tiles) -> None:
    with pytest.raises(ValueError, match="sides must be multiples of `multiple`, and the longest more than"):
        tiling.predict(blurred, np.zeros((100, 100, 1), np.float32), tiles)


@pytest.mark.parametrize("depth", range(1, 8))
def test_small_tiles_are_enlarged_before_they_cost_many_times_the_picture(depth: int) -> None:
    network = NetworkSpec("classic", 1, depth, 4)
    for wish in (1, 512, 2048):
        tiles = classic.tiles(network, wish)
        for side in (4096, 19968, tiles.longest + classic.multiple(network)):
            along = sum(len(weights) for _, weights in tiling._cut(side, tiles))
            assert along**2 < 4.5 * side**2, (wish, side)
    assert tiles.longest >= 2048


def test_a_tile_is_as_long_as_wished_where_that_is_sensible() -> None:
    sides = [classic.tiles(NetworkSpec("classic", 1, depth, 4), 520).longest for depth in (1, 2, 4, 5, 6)]
    assert sides == [520, 520, 512, 864, 1728]


def test_a_network_by_tiles_equals_it_in_one_piece() -> None:
    network = NetworkSpec("classic", 1, 2, 8)
    forward = backend.forward(classic.build(network))
    image = np.random.default_rng(3).random((230, 170, 1)).astype(np.float32)
    by_tiles = tiling.predict(forward, image, Tiles(4, 4, 128, classic.margin(network)))
    in_one = tiling.predict(forward, image, Tiles(4, 4, 256, classic.margin(network)))
    assert np.ptp(in_one) > 0.05
    np.testing.assert_allclose(by_tiles, in_one, atol=1e-4)
