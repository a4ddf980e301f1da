"""Moves the field of view to the voxel with the highest logit on each face of a box around its centre.

Source: Januszewski et al. (2018), Methods, "Field of view movement"; google/ffn's FaceMaxMovementPolicy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np

Position = tuple[int, int, int]


def face_maxima(logits: np.ndarray, deltas: Position, threshold: float | np.float32) -> list[tuple[float, Position]]:
    """Finds the moves that a prediction suggests: to the voxel with the highest logit on each face of a box.

    Args:
      logits: (z, y, x) mask logits of one field of view.
      deltas: half size of the box, z, y, x; an axis with 0 has no faces.
      threshold: a face whose maximum is below this value suggests no move.

    Returns:
      (maximum, offset z, y, x from the centre) for each face that reaches the threshold, sorted by maximum, then by
      offset, both descending. A voxel that several faces share occurs once.
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
    """The queue (first in, first out) of positions to which the field of view will move.

    A lattice with the spacing `deltas` is centred on the seed; only one position per lattice cell is visited.
    """

    def __init__(self, seed: Position, deltas: Position) -> None:
        self._seed = seed
        self._deltas = deltas
        self._visited: set[Position] = set()
        self._queue: deque[Position] = deque([seed])

    def next(self, may_visit: Callable[[Position], bool]) -> Position | None:
        """Returns the first position in a cell not yet visited for which `may_visit` is true; None if there is none.

        All positions before the returned one are dropped from the queue. The returned position stays in the queue until
        `visited` is called, so that a state saved in between contains it.
        """
        while self._queue:
            position = self._queue[0]
            if self._cell(position) not in self._visited and may_visit(position):
                return position
            self._queue.popleft()
        return None

    def visited(self, found: Iterable[Position]) -> None:
        """Marks the position that `next` returned as visited, and adds the positions `found` there to the queue."""
        self._visited.add(self._cell(self._queue.popleft()))
        self._queue.extend(found)

    def state(self) -> dict[str, np.ndarray]:
        """Returns the state for `restore`: queued positions and visited cells, each (n, 3), z, y, x."""
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
