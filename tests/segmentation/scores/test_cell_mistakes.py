from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from floodrunner.segmentation.scores.cell_mistakes import CellMistakes, cell_mistakes
from floodrunner.segmentation.scores.detection import average_precision

LABELS = arrays(np.uint8, (5, 6), elements=st.integers(0, 4))


def brute_force(found: np.ndarray, truth: np.ndarray) -> CellMistakes:
    segments, cells = set(found.ravel().tolist()) - {0}, set(truth.ravel().tolist()) - {0}

    def both(s: int, t: int) -> int:
        return int(((found == s) & (truth == t)).sum())

    def mostly_in(s: int) -> set[int]:
        """Cells more than half of which is in the segment."""
        return {t for t in cells if both(s, t) > (truth == t).sum() / 2}

    def same(s: int, t: int) -> bool:
        return both(s, t) / ((found == s) | (truth == t)).sum() > 0.5

    kinds = {"found": 0, "merged": 0, "split": 0, "missed": 0, "inexact": 0}
    what = {}
    for t in cells:
        cell = truth == t
        if any(same(s, t) for s in segments):
            what[t] = "found"
        elif any(t in mostly_in(s) and len(mostly_in(s)) > 1 for s in segments):
            what[t] = "merged"
        elif sum(both(s, t) > (found == s).sum() / 2 for s in segments) > 1:
            what[t] = "split"
        else:
            what[t] = "missed" if ((found > 0) & cell).sum() < 0.1 * cell.sum() else "inexact"
        kinds[what[t]] += 1
    invented = sum(((truth > 0) & (found == s)).sum() < 0.1 * (found == s).sum() for s in segments)
    pieces = sum(
        not any(same(s, t) for t in cells)
        and any(both(s, t) > (found == s).sum() / 2 and any(same(a, t) for a in segments) for t in cells)
        for s in segments
    )
    most = {s: max((both(s, t) for t in cells), default=0) for s in segments}
    rest = [
        s
        for s in segments
        if not any(same(s, t) for t in cells)
        and ((truth > 0) & (found == s)).sum() >= 0.1 * (found == s).sum()
        and not any(both(s, t) > (found == s).sum() / 2 and any(same(a, t) for a in segments) for t in cells)
    ]
    misfits = sum(any(both(s, t) == most[s] and what[t] not in ("found", "missed") for t in cells) for s in rest)
    return CellMistakes(**kinds, invented=int(invented), pieces=pieces, excess=len(rest) - misfits, misfits=misfits)


@settings(max_examples=150, deadline=None)
@given(found=LABELS, truth=LABELS)
def test_equals_brute_force_and_each_cell_is_counted_once(found: np.ndarray, truth: np.ndarray) -> None:
    result = cell_mistakes(found, truth)
    assert result == brute_force(found, truth)
    cells, segments = (len(set(each.ravel().tolist()) - {0}) for each in (truth, found))
    assert sum(result[:5]) == cells
    assert result.found + sum(result[5:]) == segments
    precision = average_precision(found, truth, (0.5,))[0]
    if cells + segments:
        assert precision == result.found / (cells + segments - result.found)


def test_each_kind() -> None:
    truth = np.zeros((12, 60), np.uint16)
    for k in range(6):
        truth[1:11, 10 * k : 10 * k + 8] = k + 1
    found = truth.copy()
    found[found == 2] = 1  # merged with 1
    found[6:][truth[6:] == 3] = 33  # split
    found[truth == 4] = 0  # missed
    found[4:][truth[4:] == 5] = 0  # a part
    found[1:4][truth[1:4] == 6] = 60  # a piece
    found[11, :58] = 70  # on the border, in no cell
    assert cell_mistakes(found, truth) == CellMistakes(
        found=1, merged=2, split=1, missed=1, inexact=1, invented=1, pieces=1, excess=0, misfits=4
    )


def test_a_halo_around_a_found_cell_is_in_excess() -> None:
    truth = np.zeros((12, 30), np.uint16)
    truth[1:11, 1:11] = 1
    found = truth.copy()
    found[1:11, 9:18] = 2  # a fifth of the cell; mostly outside
    result = cell_mistakes(found, truth)
    assert (result.found, result.excess, result.wrong) == (1, 1, 1)
