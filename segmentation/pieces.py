"""Long lists of numbers that come in pieces, of which only a few are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


def of_length(pieces: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cuts and joins pieces so that all have `length` numbers; the last may have fewer."""
    kept: list[np.ndarray] = []
    missing = length
    for piece in pieces:
        while len(piece) >= missing:
            yield np.concatenate([*kept, piece[:missing]])
            piece, kept, missing = piece[missing:], [], length
        if len(piece):
            kept.append(piece)
            missing -= len(piece)
    if kept:
        yield np.concatenate(kept)
