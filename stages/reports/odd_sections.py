"""Tells the user which sections show no tissue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from floodrunner.stages.storage.words import some

if TYPE_CHECKING:
    from floodrunner.segmentation.blank import Odd

_NAMED = 5


def sentences(found: Odd, names: Sequence[str]) -> list[str]:
    """Writes one line for each way in which sections are odd: `2 of 60 sections are blank (all 0): a.png, b.png`.

    Args:
      found: the odd sections.
      names: name of each section.
    """
    values: defaultdict[float, list[int]] = defaultdict(list)
    for k, value in found.blank.items():
        values[value].append(k)
    kinds = [(which, ("is", "are"), f"blank (all {value:g})") for value, which in values.items()]
    kinds.append((found.saturated, ("is", "are"), "saturated (more than half of the voxels are black or white)"))
    share = f"0 from the edge inwards, {100 * found.border_share:.1f} % of all voxels"
    kinds.append((found.bordered, ("has", "have"), f"a black border ({share})"))
    return [_sentence(which, verbs, what, found.sections, names) for which, verbs, what in kinds if which]


def _sentence(which: Sequence[int], verbs: tuple[str, str], what: str, sections: int, names: Sequence[str]) -> str:
    every = len(which) == sections
    count = f"all {sections}" if every else f"{len(which)} of {sections}"
    named = "" if every else f": {some((names[k] for k in which), _NAMED)}"
    return f"{count} sections {verbs[len(which) > 1]} {what}{named}"


def left_out(found: Odd, names: Sequence[str]) -> str:
    """Writes what does not count as tissue: `2 blank sections (a.png, b.png) and 1 saturated section (c.png)`."""
    kinds = (
        (list(found.blank), "blank section{s}"),
        (found.saturated, "saturated section{s}"),
        (found.bordered, "section{s} with black borders"),
    )
    parts = [
        f"{len(which)} {kind.format(s='' if len(which) == 1 else 's')} ({some(names[k] for k in which)})"
        for which, kind in kinds
        if which
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
