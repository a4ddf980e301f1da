"""Says in sentences how well the cells of a set of pictures are found, and in which pictures most is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from floodrunner.segmentation.scores.cell_mistakes import CellMistakes
from floodrunner.stages.storage.words import shown

_WORST = 3
_GOOD = 0.8
"""Share of correct cells, TP / (TP + FP + FN), from which on a result is called good."""
_WORDS = {
    "merged": "merged with others",
    "split": "split",
    "missed": "missed",
    "inexact": "with a wrong outline",
    "invented": "invented",
    "pieces": "in excess, as pieces of found cells",
    "excess": "in excess, partly in cells",
}
_TOO = {
    "merged": "Too many cells are merged",
    "split": "Too many cells are split",
    "missed": "Too many cells are missed",
    "inexact": "Too many outlines are wrong",
    "invented": "Too many cells are invented",
    "pieces": "Too many cells are split",
    "excess": "Too many segments are in excess",
}


def sentences(pictures: Sequence[tuple[str, int, CellMistakes]], report: dict[str, Any]) -> list[str]:
    """Says what became of the cells, where most is wrong, and why scores that look alike differ.

    Args:
      pictures: the name of each picture, its number of cells in the truth, and what became of them.
      report: what `picture_scores` writes to `metrics.json`.
    """
    truth, cells = report["truth_cells"], report["cells"]
    if not truth:
        found = _count(cells, "cell")
        return [
            f"No picture has a cell in the truth, so nothing can be said about how well cells are found ({found} found)"
        ]
    if not cells:
        return [f"No cell was found: {'the only one is' if truth == 1 else f'all {truth} are'} missed"]
    found, *_ = (sum(each) for each in zip(*(mistakes for _, _, mistakes in pictures), strict=True))
    total = {name: sum(getattr(mistakes, name) for _, _, mistakes in pictures) for name in _WORDS}
    parts = [f"{count} {_WORDS[name]}" for name, count in sorted(total.items(), key=lambda one: -one[1]) if count]
    of = f"{found} of {_count(truth, 'cell')} in {_count(len(pictures), 'picture')} found (IoU above 0.5)"
    lines = [f"{_judged(found, truth, cells, total)}: {', '.join([of, *parts])}"]
    lines += _worst(pictures) if len(pictures) > 1 else []
    at_half, mean = report["average_precision"]["0.50"], report["mean_average_precision"]
    several = sum(cells > 0 for _, cells, _ in pictures) > 1
    if min(report["dice"], at_half, mean) < 1:
        lines.append(
            f"Dice compares pixels ({report['dice']:.2f}), average precision whole cells: {at_half:.2f} if they "
            f"overlap by more than half, {mean:.2f} if outlines must match more closely (IoU 0.5 to 0.95)"
            f"{'. All are means over pictures' if several else ''}"
        )
    error, pooled = (f"{report[name] or 0:.2f}" for name in ("count_error", "count_error_pooled"))
    if error != pooled:
        lines.append(f"The count error, {error}, is a mean over pictures; of all cells together it is {pooled}")
    if cells == truth > found:
        lines.append("The number of cells is right although some are not found: as many segments are wrong")
    return lines


def _judged(found: int, truth: int, cells: int, wrong: dict[str, int]) -> str:
    """Names the commonest mistake, unless there are few."""
    if found == truth == cells:
        return "All cells are found"
    if found / (truth + cells - found) >= _GOOD:
        return "Good"
    return _TOO[max(wrong, key=lambda name: wrong[name])]


def _worst(pictures: Sequence[tuple[str, int, CellMistakes]]) -> list[str]:
    wrong = sorted((each for each in pictures if each[2].wrong), key=lambda each: -each[2].wrong)
    if not wrong:
        return []
    named = []
    for name, cells, mistakes in wrong[:_WORST]:
        more = mistakes.too_many
        left = cells - mistakes.found
        parts = [f"{left} of {_count(cells, 'cell')} not found"] if left else []
        parts += [f"{more} too many"] if more else []
        named.append(f"{shown(name, 40)} ({', '.join(parts)})")
    return [f"Most is wrong in {', '.join(named)}"]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
