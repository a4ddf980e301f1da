from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from floodrunner.segmentation.scores.mistakes import PART, inside, mistakes
from floodrunner.segmentation.scores.rand_and_vi import overlaps, score

LABELS = arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 4))


def entropy_in(ids: np.ndarray) -> float:
    """The bits to tell the ids of some voxels, summed over these voxels."""
    _, counts = np.unique(ids, return_counts=True)
    return float(-(counts * np.log2(counts / len(ids))).sum()) if len(ids) else 0.0


def brute_force(segment: np.ndarray, truth: np.ndarray) -> dict[tuple[str, int], float]:
    """What each object costs, voxel by voxel, in bits."""
    labelled = truth != 0
    segment, truth = segment[labelled], truth[labelled]
    n, cost = max(len(truth), 1), {}
    for s in set(segment.tolist()) - {0}:
        cost["merge", s] = entropy_in(truth[segment == s]) / n
    for t in set(truth.tolist()):
        mine = segment[truth == t]
        cost["split", t] = entropy_in(mine[mine != 0]) / n
        missing = np.count_nonzero(mine == 0)
        among = -missing * math.log2(missing / np.count_nonzero(segment == 0)) if missing else 0.0
        cost["unsegmented", t] = (entropy_in(mine != 0) + among) / n if missing else 0.0
    return {key: value for key, value in cost.items() if value > 1e-12}


@settings(max_examples=80, deadline=None)
@given(segment=LABELS, truth=LABELS)
def test_costs_equal_brute_force_and_their_sum_is_the_variation_of_information(
    segment: np.ndarray, truth: np.ndarray
) -> None:
    table = overlaps(segment, truth)
    found = mistakes(table)
    expected = brute_force(segment, truth)
    costs = {(one.kind, one.id): one.bits for one in found.ranked if one.bits > 1e-12}
    assert costs == {key: pytest.approx(value) for key, value in expected.items()}
    assert [one.bits for one in found.ranked] == sorted((one.bits for one in found.ranked), reverse=True)
    whole = score(table, ignore_unsegmented=False)
    total = (whole.vi_split or 0) + (whole.vi_merge or 0)
    assert sum(found.bits.values()) == pytest.approx(total, abs=1e-9)
    assert sum(one.bits for one in found.ranked) == pytest.approx(total, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(segment=LABELS, truth=LABELS)
def test_counts_equal_brute_force(segment: np.ndarray, truth: np.ndarray) -> None:
    labelled = truth != 0
    s_of, t_of = segment[labelled], truth[labelled]
    pairs = [
        (s, t)
        for s in set(s_of.tolist()) - {0}
        for t in set(t_of.tolist())
        if (both := np.count_nonzero((s_of == s) & (t_of == t)))
        and (both >= PART * np.count_nonzero(s_of == s) or both >= PART * np.count_nonzero(t_of == t))
    ]
    truths = set(t_of.tolist())
    merging = {s for s, _ in pairs if sum(s == a for a, _ in pairs) > 1}
    split = {t for _, t in pairs if sum(t == b for _, b in pairs) > 1}
    merged = {t for s, t in pairs if s in merging}
    missing = {t for t in truths if 2 * np.count_nonzero((t_of == t) & (s_of == 0)) > np.count_nonzero(t_of == t)}
    alone = {t for t in truths if sum(t == b for _, b in pairs) == 1}
    found = mistakes(overlaps(segment, truth))
    assert (found.merging, found.merged, found.split) == (len(merging), len(merged), len(split))
    assert found.pieces == len({s for s, t in pairs if t in split})
    assert (found.missing, found.right) == (len(missing), len(alone - merged - missing))
    for one in found.ranked:
        if one.kind != "unsegmented":
            mine = [p for p in pairs if (p[0] if one.kind == "merge" else p[1]) == one.id]
            assert sorted(one.parts) == sorted(p[1] if one.kind == "merge" else p[0] for p in mine)
            assert one.part_voxels == sorted(one.part_voxels, reverse=True)


def test_an_inexact_border_is_no_merge() -> None:
    truth = np.repeat([1, 2], 50).reshape(1, 10, 10)
    segment = truth.copy()
    segment[0, 5, :4] = 1  # 4 of 50 voxels
    found = mistakes(overlaps(segment, truth))
    assert (found.merging, found.split, found.right) == (0, 0, 2)
    assert not any(one.counts for one in found.ranked)
    assert found.bits["merge"] > 0


def test_large_ids_stay_what_they_are() -> None:
    truth = np.repeat(np.array([2**63 + 5, 7], np.uint64), 8).reshape(2, 2, 4)
    (one,) = mistakes(overlaps(np.full_like(truth, 2**64 - 9), truth)).ranked
    assert (one.kind, one.id, one.parts, one.part_voxels, one.bits) == (
        "merge", 2**64 - 9, [7, 2**63 + 5], [8, 8], 1.0
    )  # fmt: skip


def test_nothing_to_compare_costs_nothing() -> None:
    found = mistakes(overlaps(np.ones((1, 2, 3), np.uint8), np.zeros((1, 2, 3), np.uint8)))
    assert (found.ranked, sum(found.bits.values()), found.right) == ([], 0, 0)


@settings(max_examples=60, deadline=None)
@given(mask=arrays(bool, (7, 9)).filter(np.any))
def test_the_place_to_look_at_is_as_far_inside_as_any(mask: np.ndarray) -> None:
    y, x = inside(mask)
    outside = np.argwhere(~np.pad(mask, 1)) - 1

    def depth(at: tuple[int, int]) -> float:
        return float(np.sqrt(((outside - at) ** 2).sum(axis=1)).min())

    assert mask[y, x]
    assert depth((y, x)) == pytest.approx(max(depth((int(a), int(b))) for a, b in np.argwhere(mask)))
