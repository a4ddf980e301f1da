from __future__ import annotations

import tempfile

import numpy as np
import pytest

from floodrunner.segmentation.ffn import shuffling
from floodrunner.segmentation.ffn.shuffling import shuffled


def both(numbers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """The numbers as `shuffled` and as NumPy order them; and whether the generators are in the same state after it."""
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    for rng in (one, other):
        rng.integers(3, dtype=np.uint32)  # half of a 64-bit word is left over
    with tempfile.TemporaryFile() as scratch:
        pieces = list(shuffled(lambda start, stop: numbers[start:stop], len(numbers), one, scratch))
    expected = numbers.copy()
    other.shuffle(expected)
    return np.concatenate(pieces), expected, one.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 32, 33, 255, 256, 1000, 5003])
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_the_order_is_numpys(n: int, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffling, "_BLOCK_BITS", 4)
    numbers = np.arange(n).astype(dtype) * 3 + 7
    for seed in range(3):
        ours, numpys, same_state = both(numbers, seed)
        np.testing.assert_array_equal(ours, numpys)
        assert (ours.dtype, same_state) == (dtype, True)


def test_the_order_is_numpys_in_blocks_of_the_real_size() -> None:
    ours, numpys, same_state = both(np.arange(3 * 2**20 + 5, dtype=np.uint32), 11)
    np.testing.assert_array_equal(ours, numpys)
    assert same_state


def test_the_numbers_are_read_once_and_the_scratch_file_is_as_large_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffling, "_BLOCK_BITS", 5)
    numbers, ranges = np.arange(1000, dtype=np.uint32), []

    def read(start: int, stop: int) -> np.ndarray:
        ranges.append((start, stop))
        return numbers[start:stop]

    with tempfile.TemporaryFile() as scratch:
        list(shuffled(read, 1000, np.random.default_rng(0), scratch))
        assert scratch.seek(0, 2) <= 1000 * 8
    assert ranges == [(start, min(start + 32, 1000)) for start in range(992, -1, -32)]
    np.testing.assert_array_equal(numbers, np.arange(1000))  # what was read is not changed


def test_places_beyond_32_bits_are_drawn_as_numpy_draws_them() -> None:
    """NumPy takes 64-bit words from there on. Such a shuffle is too long for a test, so the draws are compared."""
    first, last = 2**33 + 5, 2**33 + 4000
    one, other = np.random.default_rng(2), np.random.default_rng(2)
    drawn = shuffling._draw(one, first, last)
    words = iter(other.integers(0, 2**64 - 1, 20000, np.uint64, endpoint=True).tolist())
    expected = [next(w for w in (word & (2**34 - 1) for word in words) if w <= i) for i in range(last, first - 1, -1)]
    np.testing.assert_array_equal(drawn, expected)
