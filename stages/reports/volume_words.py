"""Says in sentences how good a segmented volume is, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from floodrunner.segmentation.scores.mistakes import KINDS, Kind, Mistake, Mistakes
from floodrunner.segmentation.scores.rand_and_vi import Score
from floodrunner.stages.storage.words import box

What = Literal["neurons", "cells", "objects"]
"""What the objects of the truth are."""

_GOOD = 0.1
"""Largest adapted Rand error, and largest share of unsegmented voxels, that is called good. The error of people is
about 0.06 (SNEMI3D; Lee et al., arXiv:1706.00120)."""
_MOST = 0.75
"""Share of the truth's objects that must be right, or the error is small only because it counts large objects most."""
_ALSO = 0.15
"""Share of the variation of information from which on another kind of mistake is named, if it is only of borders."""

_TOO = {"merge": "too many", "split": "too many", "unsegmented": "too much is"}
_SINGULAR = {"neurons": "neuron", "cells": "cell", "objects": "object of the truth"}
_PLURAL = {"neurons": "neurons", "cells": "cells", "objects": "objects of the truth"}
_WITH_IDS = {"neurons": "neurons", "cells": "cells", "objects": "true objects"}


def verdict(
    found: Mistakes, both: Score, ignored: Score, truths: int, unsegmented: float, labelled: float, what: What
) -> list[str]:
    """Says how good the segmentation is, which kind of mistake costs most, and which others there are.

    Kinds of which there is a mistake that counts come before those of borders alone, which cost something too: a single
    object that is missing may cost nothing, as unsegmented voxels count as one segment, which then is this object.

    Args:
      both, ignored: the score where unsegmented voxels count as one more segment, and where they are left out.
      truths: number of objects in the truth.
      unsegmented: share of the voxels with ground truth.
      labelled: share of all voxels that have ground truth.
    """
    total = sum(found.bits.values())
    if total < 1e-9 and not unsegmented:
        each = f"the only {_SINGULAR[what]}" if truths == 1 else f"each of the {truths} {_PLURAL[what]}"
        where = "" if labelled == 1 else ", where there is ground truth"
        return [f"Perfect: {each} is one object, with exactly its voxels{where}"]
    error, are = both.adapted_rand_error, "is one object" if found.right == 1 else "are one object each"
    right = [f"{found.right} of {truths} {_PLURAL[what]} {are}"]
    if truths == 1:
        right = [f"the only {_SINGULAR[what]} is one object"] if found.right else []
    counts = {"merge": found.merging, "split": found.split, "unsegmented": found.missing}
    by_cost = sorted(KINDS, key=lambda kind: (not counts[kind], -round(found.bits[kind], 9)))
    phrases = {kind: _phrase(kind, found, ignored, truths, unsegmented, what) for kind in KINDS}
    first, *others = by_cost
    good = error <= _GOOD and unsegmented <= _GOOD
    bad = f"{_TOO[first]} {phrases[first]}"
    if good and found.right >= _MOST * truths:
        said = "; ".join([*right, f"the largest error is {phrases[first]}"])
        text = f"Good (adapted Rand error {error:.3f}; 0 is perfect): {said}"
    elif good and found.right_share > 0.5:
        said = "; ".join([*right, bad])
        text = f"Good for the largest only (adapted Rand error {error:.3f}; 0 is perfect): {said}"
    else:
        text = "; ".join([f"{bad[0].upper()}{bad[1:]}", *right])
    also = [phrases[kind] for kind in others if counts[kind] or found.bits[kind] > _ALSO * total]
    return [text, *([f"Also {'; '.join(also)}"] if also else [])]


def nothing(truths: int, what: What) -> str:
    """Says that the segmentation has no object."""
    missed = f"the only {_SINGULAR[what]} is" if truths == 1 else f"all {truths} {_PLURAL[what]} are"
    return f"There is no object in the segmentation: {missed} missing"


def limits(truths: int, shape: Sequence[int], offset: Sequence[int], labelled: float, outside: int, what: What) -> str:
    """Says on what the score was measured.

    Args:
      shape, offset: of the box, z, y, x.
      labelled: share of the voxels that have ground truth.
      outside: number of objects of the segmentation without a voxel that has.
    """
    of = f"{truths} {_PLURAL[what] if truths > 1 else _SINGULAR[what]} in {box(shape, offset)}"
    ground = f", {_percent(labelled)} of which have ground truth; nothing else is judged"
    if outside:
        ground += f": {_objects(outside)} lie{'s' if outside == 1 else ''} only there"
    elif labelled > 0.995:
        ground = ""
    alone = f"; with one {_SINGULAR[what]}, merges cannot show" if truths == 1 else ""
    return f"Measured on {of}{ground}{alone}"


def difference(both: Score, ignored: Score) -> str:
    """Says why there are two adapted Rand errors."""
    return (
        f"The adapted Rand error is {both.adapted_rand_error:.4f} if unsegmented voxels count as one more object, and "
        f"{ignored.adapted_rand_error:.4f} if they are left out"
    )


def place(mistake: Mistake, total: float, xyz: Sequence[int], what: What) -> str:
    """Names an object, its share of the variation of information (`total`, bits), and a voxel inside it."""
    one = _WITH_IDS[what][:-1]
    parts = [str(part) for part in mistake.parts]
    parts = parts if len(parts) <= 3 else [*parts[:2], f"{len(parts) - 2} more"]
    listed = " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
    if mistake.kind == "merge":
        said = f"object {mistake.id} joins {_WITH_IDS[what]} {listed}"
    elif mistake.kind == "split":
        said = f"{one} {mistake.id} is in objects {listed}"
    else:
        said = f"{one} {mistake.id} is {_percent(mistake.voxels / mistake.total)} unsegmented"
    return f"{said}: {_percent(mistake.bits / total if total else 0)}; look at x {xyz[0]}, y {xyz[1]}, z {xyz[2]}"


def _phrase(kind: Kind, found: Mistakes, ignored: Score, truths: int, unsegmented: float, what: What) -> str:
    many = _PLURAL[what]
    if kind == "merge":
        figure = f"merges (precision {_share(ignored.precision)} where segmented)"
        if not found.merging:
            return f"{figure}: objects reach over borders, but none joins two {many}"
        return f"{figure}: {_objects(found.merging)} join{'s' if found.merging == 1 else ''} {found.merged} {many}"
    if kind == "split":
        figure = f"splits (recall {_share(ignored.recall)} where segmented)"
        tiny = f"{found.tiny:,} tiny object{'' if found.tiny == 1 else 's'}"
        if not found.split:
            why = f"{tiny} lie in {many}" if found.tiny else "borders are inexact"
            return f"{figure}: {why}, but no {_SINGULAR[what]} is in two objects"
        one = f"the only {_SINGULAR[what]} is" if truths == 1 else f"1 {_SINGULAR[what]} is"
        one = one if found.split == 1 else f"{found.split} {many} are"
        return f"{figure}: {one} in {found.pieces} objects{f', besides {tiny}' if found.tiny else ''}"
    figure = f"unsegmented ({_percent(unsegmented)} of the voxels with ground truth)"
    if not found.missing:
        return f"{figure}: at least half of {'the' if truths == 1 else 'each'} {_SINGULAR[what]} is segmented"
    are = "is" if found.missing == 1 else "are"
    if truths == 1:
        return f"{figure}: the only {_SINGULAR[what]} is mostly missing"
    return f"{figure}: {found.missing} of {truths} {many} {are} mostly missing"


def _objects(count: int) -> str:
    return f"{count} object{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    """Rounds a share so that neither a little becomes 0 % nor almost all 100 %."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01 %"
    if 99.9 < value < 100:
        return "over 99.9 %"
    if 1 <= value <= 99 or value in (0, 100):
        return f"{value:.0f} %"
    return f"{value:.2g} %" if value < 1 else f"{value:.3g} %"


def _share(score: float | None) -> str:
    """Writes a score so that almost 1 does not read 1."""
    return "-" if score is None else "over 0.99" if 0.995 <= score < 1 else f"{score:.2f}"
