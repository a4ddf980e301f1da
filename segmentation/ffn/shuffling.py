"""Shuffles more numbers than memory should hold: block by block, with the rest in a scratch file.

NumPy's `Generator.shuffle` goes through the places i = n - 1, ..., 1, draws a place j from 0 to i, and exchanges the
numbers at i and j (Durstenfeld, Communications of the ACM 7, 420 (1964)). The order here is exactly the same, because
the same places j are drawn. But exchanges are not done one by one all over memory:

- The places are divided into blocks, which are worked on from the last to the first.
- If j lies in an earlier block, the number at i is sent to that block, in the scratch file. Nothing else touches
  place i from then on, so the answer, the number that was at j, can be put there later.
- A block begins with what later blocks have sent to it, in the order in which it was sent. Then come its own places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

_BLOCK_BITS = 19
"""Places in a block, as a power of 2. Working on a block takes about 40 MB."""

_AT_ONCE = 2**15
"""Random words that are drawn, and exchanges that are made, at once: few enough for the cache of a processor."""

Read = Callable[[int, int], np.ndarray]
"""(start, stop) -> that range of the numbers to shuffle, 1D, always of the same type."""


def shuffled(read: Read, n: int, rng: np.random.Generator, scratch: BinaryIO) -> Iterator[np.ndarray]:
    """Yields n numbers in the order in which `rng.shuffle` would put them.

    Args:
      read: reads the numbers; called once for each block.
      rng: advanced exactly as `rng.shuffle` would advance it, before the first piece is yielded.
      scratch: an empty file, open for reading and writing. It grows to n times the size of a number and 4 bytes.
    """
    size = 1 << _BLOCK_BITS
    blocks = -(-n // size)
    sent = np.zeros((blocks, blocks), np.int64)  # [from, to]
    begin = np.zeros((blocks, blocks), np.int64)  # where these lie in the scratch file, counted in numbers
    states = []
    files = None
    for block in reversed(range(blocks)):
        first, last = block * size, min((block + 1) * size, n) - 1
        numbers = np.array(read(first, last + 1))
        files = files or _Scratch(scratch, numbers.dtype, n)
        _receive(numbers, block, sent, begin, files)
        if block == 0:
            rng.shuffle(numbers)
            files.values.write(0, numbers)
            break
        states.append(rng.bit_generator.state)
        places = _draw(rng, first, last)
        target = places >> _BLOCK_BITS
        _exchange_inside(numbers, places - first, target == block)
        order = _grouped(target)
        files.values.write(first, numbers[::-1][order])
        files.places.write(first, (places & (size - 1)).astype(np.uint32)[order])
        sent[block] = np.bincount(target, minlength=blocks)
        begin[block] = first + np.cumsum(sent[block]) - sent[block]
    again = np.random.Generator(type(rng.bit_generator)())
    for block in range(blocks):
        first, last = block * size, min((block + 1) * size, n) - 1
        assert files is not None
        values = files.values.read(first, last + 1 - first)
        if block:
            again.bit_generator.state = states.pop()
            result = np.empty_like(values)
            result[_grouped(_draw(again, first, last) >> _BLOCK_BITS)] = values
            values = result[::-1]
        yield values


class _Column:
    """Numbers of one type in a part of a file."""

    def __init__(self, file: BinaryIO, start: int, dtype: np.dtype) -> None:
        self._file, self._start, self._dtype = file, start, dtype

    def write(self, at: int, numbers: np.ndarray) -> None:
        self._file.seek(self._start + at * self._dtype.itemsize)
        self._file.write(np.ascontiguousarray(numbers, self._dtype).data)

    def read(self, at: int, count: int) -> np.ndarray:
        self._file.seek(self._start + at * self._dtype.itemsize)
        return np.frombuffer(bytearray(self._file.read(count * self._dtype.itemsize)), self._dtype)


class _Scratch:
    """The scratch file: the numbers that were sent, or the answers; and behind them the places that they are for."""

    def __init__(self, file: BinaryIO, dtype: np.dtype, n: int) -> None:
        self.values = _Column(file, 0, dtype)
        self.places = _Column(file, n * dtype.itemsize, np.dtype(np.uint32))


def _receive(numbers: np.ndarray, block: int, sent: np.ndarray, begin: np.ndarray, files: _Scratch) -> None:
    """Does the exchanges that later blocks have asked for, and writes the answers in place of the numbers sent."""
    latest, repeated = np.zeros(len(numbers), np.int32), np.zeros(len(numbers), bool)
    for later in reversed(range(block + 1, len(sent))):
        start, stop = (int(begin[later, block]) + each for each in (0, int(sent[later, block])))
        for at in range(start, stop, _AT_ONCE):
            count = min(_AT_ONCE, stop - at)
            places, values = files.places.read(at, count), files.values.read(at, count)
            files.values.write(at, _exchange(numbers, places, values, latest, repeated))


def _draw(rng: np.random.Generator, first: int, last: int) -> np.ndarray:
    """Draws j from 0 to i for i = last, ..., first, int64, as NumPy does: bits of a random word, until they are <= i.

    All i must have the same number of bits.
    """
    bits = last.bit_length()
    word: type = np.uint32 if bits <= 32 else np.uint64
    mask = word((1 << bits) - 1)
    drawn = np.empty(last - first + 1, np.int64)
    done = 0
    while done < len(drawn):  # each word gives one j at most, so no word is drawn too many
        count = min(len(drawn) - done, _AT_ONCE)
        words = rng.integers(0, np.iinfo(word).max, count, word, endpoint=True) & mask
        i = last - done
        # Whether a word is taken depends on i, and i on how many were taken before: only those near i are in doubt.
        taken = words <= word(i - count)
        doubtful = np.flatnonzero(~taken & (words <= word(i)))
        if len(doubtful):
            limit = i - np.cumsum(taken)[doubtful] - words[doubtful].astype(np.int64)
            chosen = np.ones(len(doubtful), bool)
            while True:  # a guess is right as far as all before it are, so each turn corrects one more at least
                corrected = np.cumsum(chosen) - chosen <= limit
                if np.array_equal(corrected, chosen):
                    break
                chosen = corrected
            taken[doubtful] = chosen
        words = words[taken]
        drawn[done : done + len(words)] = words
        done += len(words)
    return drawn


def _grouped(target: np.ndarray) -> np.ndarray:
    """Returns the order that groups exchanges by the block they go to, each group in its old order."""
    return np.argsort(target.astype(np.min_scalar_type(int(target.max()))), kind="stable")  # radix sort up to 16 bits


def _exchange_inside(numbers: np.ndarray, places: np.ndarray, inside: np.ndarray) -> None:
    """Exchanges numbers[i] with numbers[places[k]], where k counts i downwards from the last, for the k in `inside`."""
    view = numbers.data
    which = np.flatnonzero(inside)
    for start in range(0, len(which), 2**16):  # lists of Python numbers take much memory
        part = which[start : start + 2**16]
        for i, j in zip((len(numbers) - 1 - part).tolist(), places[part].tolist(), strict=True):
            view[i], view[j] = view[j], view[i]


def _exchange(
    numbers: np.ndarray, places: np.ndarray, values: np.ndarray, latest: np.ndarray, repeated: np.ndarray
) -> np.ndarray:
    """Puts values[k] at places[k], one after the other, and returns the number that was there before each.

    Args:
      latest, repeated: int32 and bool, of the length of `numbers`, to work in; `repeated` is False everywhere, and is
        so again afterwards.
    """
    before = numbers[places]
    count = np.arange(len(places), dtype=np.int32)
    latest[places] = count  # where a place occurs several times, NumPy leaves the last
    numbers[places] = values
    again = places[latest[places] != count]
    if len(again):
        repeated[again] = True
        several = np.flatnonzero(repeated[places])
        repeated[again] = False
        several = several[np.argsort(places[several], kind="stable")]
        follows = places[several[1:]] == places[several[:-1]]
        before[several[1:][follows]] = values[several[:-1][follows]]
    return before
