"""The moves, against a plain restatement of the rules."""

from __future__ import annotations

import numpy as np
import pytest

from floodrunner.segmentation.ffn.movement import Moves, face_maxima


def brute_force(logits: np.ndarray, deltas: tuple[int, int, int], threshold: float) -> set:
    """Looks at every voxel of the surface of the box, face by face."""
    centre = np.array(logits.shape) // 2
    offsets = list(np.ndindex(*(2 * d + 1 for d in deltas)))
    moves = set()
    for axis, delta in enumerate(deltas):
        for side in (-delta, delta) if delta else ():
            face = [tuple(np.array(o) - deltas) for o in offsets if o[axis] - delta == side]
            scores = [logits[tuple(centre + o)] for o in face]
            best = int(np.argmax(scores))
            if scores[best] >= threshold:
                moves.add((float(scores[best]), tuple(int(v) for v in face[best])))
    return moves


@pytest.mark.parametrize("deltas", [(2, 4, 4), (0, 3, 3), (1, 2, 3)])
def test_face_maxima_are_those_of_the_surface(deltas: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(1)
    found = 0
    for _ in range(20):
        logits = generator.normal(size=(9, 11, 11)).astype(np.float32)
        threshold = float(generator.choice([-9.0, 1.5, 2.5]))
        moves = face_maxima(logits, deltas, threshold)
        assert set(moves) == brute_force(logits, deltas, threshold)
        assert moves == sorted(moves, reverse=True)
        found += len(moves)
    assert found > 10


def test_a_corner_that_three_faces_share_comes_once() -> None:
    logits = np.zeros((5, 5, 5), np.float32)
    logits[3, 3, 3] = 9
    assert face_maxima(logits, (1, 1, 1), 1) == [(9.0, (1, 1, 1))]


def test_the_queue_leaves_out_cells_that_were_visited() -> None:
    moves = Moves((10, 10, 10), (2, 4, 4))
    assert moves.next(anywhere) == (10, 10, 10)
    # The first lies in the cell just visited, less than half a delta away; the last in that of the one before it.
    moves.visited([(10, 11, 9), (10, 14, 10), (10, 13, 11)])
    assert moves.next(anywhere) == (10, 14, 10)
    moves.visited([])
    assert moves.next(anywhere) is None


def test_a_position_stays_in_the_queue_until_it_was_visited_and_is_dropped_where_none_may_go() -> None:
    moves = Moves((10, 10, 10), (2, 4, 4))
    moves.next(anywhere)
    moves.visited([(12, 10, 10), (14, 10, 10)])
    again = Moves((10, 10, 10), (2, 4, 4))
    again.restore(moves.state())
    assert again.next(anywhere) == again.next(anywhere) == (12, 10, 10)
    assert again.next(lambda position: position[0] > 12) == (14, 10, 10)
    assert again.next(anywhere) == (14, 10, 10)


def anywhere(position: tuple[int, int, int]) -> bool:
    return True
