"""What is wrong in a segmentation: merges, splits and unsegmented voxels, and what each of them costs."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np

from floodrunner.segmentation.scores.rand_and_vi import Overlaps

PART: Final = 0.25
"""An object and an object of the truth belong together if their overlap is at least this share of one of them. Less is
an inexact border, and not a merge or a split."""
_TINY: Final = 0.01
"""An overlap smaller than this share of the largest one of the same object of the truth is no part of it, so specks
of a few voxels are no splits and merges of it."""

Kind = Literal["merge", "split", "unsegmented"]
KINDS: Final[tuple[Kind, ...]] = ("unsegmented", "merge", "split")


class Mistake(NamedTuple):
    """One object of the segmentation that joins several of the truth, or one of the truth that is in parts or missing.

    Attributes:
      kind: `merge` (`id` is of the segmentation, `parts` of the truth), `split` (`id` is of the truth, `parts` of the
        segmentation), or `unsegmented` (`id` is of the truth; no parts).
      voxels: of the object, where there is truth; of `unsegmented`, its voxels without a segment.
      total: voxels of the object where there is truth.
      parts, part_voxels: the ids that belong to it (see `PART`), the largest overlap first, and these overlaps.
      bits: what it costs, as a part of the variation of information.
    """

    kind: Kind
    id: int
    voxels: int
    total: int
    parts: list[int]
    part_voxels: list[int]
    bits: float

    @property
    def counts(self) -> bool:
        """Whether this is more than an inexact border: two parts or more, or more than half of it is missing."""
        return self.voxels > self.total / 2 if self.kind == "unsegmented" else len(self.parts) > 1


class Mistakes(NamedTuple):
    """All that is wrong in a segmentation.

    Attributes:
      ranked: one for each object that costs anything, the dearest first.
      bits: kind -> the sum over `ranked`. Their sum is the variation of information (split and merge), where
        unsegmented voxels count as one more segment.
      merging, merged: objects that join several objects of the truth, and how many those are, each counted once.
      split, pieces: objects of the truth that are in several objects, and how many those are, each counted once.
      missing: objects of the truth more than half of whose voxels are unsegmented.
      tiny: objects that are too small for a part of any object of the truth, see `_TINY`: specks.
      right_share: share of the voxels of the truth that are in objects that are right.
      right: objects of the truth that are one object each, which joins nothing else, and at least half segmented.
    """

    ranked: list[Mistake]
    bits: dict[Kind, float]
    merging: int
    merged: int
    split: int
    pieces: int
    missing: int
    tiny: int
    right_share: float
    right: int


def mistakes(table: Overlaps) -> Mistakes:
    """Takes the variation of information apart: what does each object cost?

    With S the segment of a voxel, T its truth and B whether it has a segment, H(S|T) + H(T|S) is the sum of

      merge        sum over segments s of   - sum_t p_st log2(p_st / p_s)
      split        sum over truths t of     - sum_s p_st log2(p_st / (p_t - p_0t))
      unsegmented  sum over truths t of     - p_0t log2(p_0t / p_t) - (p_t - p_0t) log2((p_t - p_0t) / p_t)
                                            - p_0t log2(p_0t / p_0)

    where s runs over real segments only, and 0 is the segment of unsegmented voxels: the chain rule,
    H(S|T) = H(B|T) + H(S|T,B), and H(T|S) divided into real segments and 0. Voxels with truth 0 are left out.

    Args:
      table: all overlaps of the segmentation and the truth.

    Source: Meila, J. Multivariate Analysis 98 (2007), variation of information and its sum over clusters.
    """
    use = table.truth != 0
    segments, s = np.unique(table.segment[use], return_inverse=True)
    truths, t = np.unique(table.truth[use], return_inverse=True)
    voxels = table.voxels[use].astype(np.float64)
    n = max(voxels.sum(), 1.0)
    real = segments[s] != 0
    of_segment, of_truth = np.bincount(s, voxels, len(segments)), np.bincount(t, voxels, len(truths))
    segmented = np.bincount(t[real], voxels[real], len(truths))
    empty = of_truth - segmented

    merge_bits = np.bincount(s[real], _bits(voxels, of_segment[s])[real], len(segments)) / n
    split_bits = np.bincount(t[real], _bits(voxels, segmented[t])[real], len(truths)) / n
    empty_bits = (_bits(empty, of_truth) + _bits(segmented, of_truth) + _bits(empty, empty.sum())) / n

    largest = np.zeros(len(truths))
    np.maximum.at(largest, t[real], voxels[real])
    touches = real & (voxels >= PART * np.minimum(of_segment[s], of_truth[t]))
    belongs = touches & (voxels >= _TINY * largest[t])
    by_segment, by_truth = (
        np.bincount(s[belongs], minlength=len(segments)),
        np.bincount(t[belongs], minlength=len(truths)),
    )
    merging, split, missing = by_segment > 1, by_truth > 1, empty > of_truth / 2
    in_merge = np.bincount(t[belongs & merging[s]], minlength=len(truths)) > 0
    right = (by_truth == 1) & ~in_merge & ~missing

    rows = np.flatnonzero(belongs)
    rows = rows[np.argsort(-voxels[rows], kind="stable")]
    parts_of_segment, parts_of_truth = _grouped(s, rows, len(segments)), _grouped(t, rows, len(truths))
    ranked = []
    for k in np.flatnonzero(merge_bits > 0):
        of = parts_of_segment[k]
        size = int(of_segment[k])
        ranked.append(
            Mistake(
                "merge", int(segments[k]), size, size, _ints(truths[t[of]]), _ints(voxels[of]), float(merge_bits[k])
            )
        )
    for k in np.flatnonzero(split_bits > 0):
        of = parts_of_truth[k]
        size = int(of_truth[k])
        ranked.append(
            Mistake(
                "split", int(truths[k]), size, size, _ints(segments[s[of]]), _ints(voxels[of]), float(split_bits[k])
            )
        )
    for k in np.flatnonzero(empty > 0):
        ranked.append(
            Mistake("unsegmented", int(truths[k]), int(empty[k]), int(of_truth[k]), [], [], float(empty_bits[k]))
        )
    return Mistakes(
        sorted(ranked, key=lambda one: (-one.bits, KINDS.index(one.kind), -one.voxels, one.id)),
        dict(zip(KINDS, (float(bits.sum()) for bits in (empty_bits, merge_bits, split_bits)), strict=True)),
        merging=int(merging.sum()),
        merged=int(in_merge.sum()),
        split=int(split.sum()),
        pieces=int((np.bincount(s[belongs & split[t]], minlength=len(segments)) > 0).sum()),
        missing=int(missing.sum()),
        tiny=int(((np.bincount(s[touches], minlength=len(segments)) > 0) & (by_segment == 0)).sum()),
        right_share=float(of_truth[right].sum() / n),
        right=int(right.sum()),
    )


def _bits(part: np.ndarray, whole: np.ndarray | float) -> np.ndarray:
    """Computes -part log2(part / whole), 0 where part is 0; never negative, also if rounded."""
    part = part.astype(np.float64)  # `bincount` of no rows is of integers
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(part > 0, np.maximum(-part * np.log2(part / whole), 0.0), 0.0)


def _grouped(group: np.ndarray, rows: np.ndarray, count: int) -> list[np.ndarray]:
    """Divides rows by their group; keeps their order."""
    order = rows[np.argsort(group[rows], kind="stable")]
    return np.split(order, np.cumsum(np.bincount(group[rows], minlength=count))[:-1])


def _ints(array: np.ndarray) -> list[int]:
    return [int(value) for value in array]


def inside(mask: np.ndarray) -> tuple[int, int]:
    """Finds a place to look at: the pixel of a mask that is furthest from its border; the first of several.

    Args:
      mask: (y, x) bool, not empty. The border of the picture counts as border.

    Returns:
      y, x.
    """
    from scipy.ndimage import distance_transform_edt

    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    y0, x0 = int(rows[0]), int(columns[0])
    crop = np.pad(mask[y0 : rows[-1] + 1, x0 : columns[-1] + 1], 1)
    y, x = np.unravel_index(int(np.argmax(distance_transform_edt(crop))), crop.shape)
    return int(y) - 1 + y0, int(x) - 1 + x0
