"""How the field of view moves: to the strongest voxel on each face of a box around its centre.

Source: Januszewski et al. (2018), Methods, "Field of view movement"; google/ffn's FaceMaxMovementPolicy.
"""

from __future__ import annotations

from collections import deque

import numpy as np

Position = tuple[int, int, int]


def face_maxima(logits: np.ndarray, deltas: Position, threshold: float | np.float32) -> list[tuple[float, Position]]:
    """The moves that a prediction suggests.

    Args:
      logits: (z, y, x) mask logits of one field of view.
      deltas: half size of the box, z, y, x; an axis with 0 has no faces.
      threshold: a face whose maximum is less suggests no move.

    Returns:
      (maximum, offset from the centre) for each face that reaches the threshold, best first; of equal maxima
      the larger offset comes first; a voxel that several faces share comes once.
    """
    centre = [size // 2 for size in logits.shape]
    box = [slice(c - d, c + d + 1) for c, d in zip(centre, deltas, strict=True)]
    found: set[tuple[float, Position]] = set()
    for axis, delta in enumerate(deltas):
        for offset in (-delta, delta) if delta else ():
            face = logits[(*box[:axis], slice(centre[axis] + offset, centre[axis] + offset + 1), *box[axis + 1 :])]
            flat = int(face.argmax())
            score = float(face.flat[flat])
            if score >= threshold:
                within = np.unravel_index(flat, face.shape)
                move = [int(p) - d for p, d in zip(within, deltas, strict=True)]
                move[axis] = offset
                found.add((score, (move[0], move[1], move[2])))
    return sorted(found, reverse=True)


class Moves:
    """The queue of positions that wait for the field of view, first in first out.

    A position is dropped when one in the same cell of a lattice of `deltas`, centred on the seed, was visited.
    """

    def __init__(self, seed: Position, deltas: Position) -> None:
        self._seed = seed
        self._deltas = deltas
        self._visited: set[Position] = set()
        self._queue: deque[Position] = deque([seed])

    def pop(self) -> Position | None:
        """The next position whose cell was not visited, or None."""
        while self._queue:
            position = self._queue.popleft()
            if self._cell(position) not in self._visited:
                return position
        return None

    def visited(self, position: Position) -> None:
        self._visited.add(self._cell(position))

    def push(self, position: Position) -> None:
        self._queue.append(position)

    def _cell(self, position: Position) -> Position:
        z, y, x = ((p - s + d // 2) // max(d, 1) for p, s, d in zip(position, self._seed, self._deltas, strict=True))
        return z, y, x
