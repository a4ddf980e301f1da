"""How the field of view moves: to the strongest voxel on each face of a box around its centre.

Source: Januszewski et al. (2018), Methods, "Field of view movement"; google/ffn's FaceMaxMovementPolicy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

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

    def next(self, may_visit: Callable[[Position], bool]) -> Position | None:
        """The first position whose cell was not visited and that may be; None if there is none.

        Those before it are dropped. It stays in the queue itself until it was visited, so that what is saved
        meanwhile holds it.
        """
        while self._queue:
            position = self._queue[0]
            if self._cell(position) not in self._visited and may_visit(position):
                return position
            self._queue.popleft()
        return None

    def visited(self, found: Iterable[Position]) -> None:
        """Done with the position that `next` gave; `found` are those to go to from there."""
        self._visited.add(self._cell(self._queue.popleft()))
        self._queue.extend(found)

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs to go on from here: (n, 3) positions and cells, z, y, x."""
        return {
            "queue": np.array(self._queue, np.int64).reshape(-1, 3),
            "visited": np.array(sorted(self._visited), np.int64).reshape(-1, 3),
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self._queue = deque((z, y, x) for z, y, x in state["queue"].tolist())
        self._visited = {(z, y, x) for z, y, x in state["visited"].tolist()}

    def _cell(self, position: Position) -> Position:
        z, y, x = ((p - s + d // 2) // max(d, 1) for p, s, d in zip(position, self._seed, self._deltas, strict=True))
        return z, y, x
