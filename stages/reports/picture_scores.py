"""Scores a set of segmented pictures against a set with ground truth, for each picture and overall."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from floodrunner.contract.ports import split_dataset
from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.scores import detection, isbi2012, overlap
from floodrunner.segmentation.scores.cell_mistakes import CellMistakes, cell_mistakes
from floodrunner.stages.reports.picture_summary import MEMBRANES, summary
from floodrunner.stages.reports.picture_words import sentences
from floodrunner.stages.storage.image_sets import Picture, read_set
from floodrunner.stages.storage.names import same_name
from floodrunner.stages.storage.words import size, some


@dataclass(frozen=True)
class _Scores:
    """Scores of one picture.

    Attributes:
      dice, iou: of the mask of all cells; None if the truth has no cell.
      precision: average precision at each of `detection.IOU_THRESHOLDS`; None if the truth has no cell.
      cells, truth_cells: number of cells in the segmentation, and in the truth.
      common, pixels: number of pixels that are part of a cell in both, and the sum of both.
      mistakes: what became of the cells, at an intersection over union of 0.5.
      v: V_rand and V_info at each of `isbi2012.THRESHOLDS`; None if they are not computed for the whole set, or if the
        picture has no probability, or no cells in the truth.
    """

    name: str
    dice: float | None
    iou: float | None
    precision: list[float] | None
    cells: int
    truth_cells: int
    common: int
    pixels: int
    v: list[isbi2012.VScores] | None
    mistakes: CellMistakes

    @property
    def count_error(self) -> float | None:
        return detection.count_error(self.cells, self.truth_cells)


@dataclass(frozen=True)
class _Best:
    """The mean of a score over the pictures at the best threshold, whose index in `isbi2012.THRESHOLDS` is `at`."""

    value: float
    at: int


def score_sets(context: Context) -> None:
    """Writes `metrics.json`, and `pictures.csv` beside it. Scores of the set are means over the pictures with cells.

    A picture without a cell in the truth has no Dice coefficient, no intersection over union, no average precision and
    no count error: they would be 1 or 0 by definition, whatever the network has learnt. What is found there is reported
    separately, and counts in the pooled scores, which take all pictures as one: the pooled Dice coefficient; and the
    pooled count error, the sum of |found - truth| over all pictures, divided by the number of cells in the truth.

    V_rand and V_info are made for maps of membranes: they thin the borders between cells to lines, and ignore pixels
    where the truth has no cell, so they say little about nuclei. They are null unless cells cover at
    least 0.6 of the truth (over all pictures) and the segmentation has a probability.

    Raises:
      InputError: if a file is not a set of pictures, the sets do not belong together, or a picture has no labels.
    """
    pairs = _pairs(context)
    covered = _covered([truth.labels for _, truth in pairs if truth.labels is not None])
    scores = []
    for done, (segmented, truth) in enumerate(pairs, 1):
        scores.append(_score(segmented, truth, with_v=covered >= MEMBRANES))
        context.progress(done, len(pairs), "pictures")
    best = _best(scores)
    report = _report(scores, best)
    context.outputs["metrics"].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    table = context.output_folder / "pictures.csv"
    _write_table(table, scores, best)
    context.artifact(table, "the scores of each picture")
    print(summary(report, covered if covered < MEMBRANES else None))
    figures = {"dice_of_pixels": report["dice"]}
    if report["average_precision"]:
        figures["average_precision_of_cells"] = report["average_precision"]["0.50"]
    figures |= {name: report[name] for name in ("count_error", *best)}
    for name, figure in figures.items():
        if figure is not None:
            context.metric(name, figure)
    for sentence in sentences([(one.name, one.truth_cells, one.mistakes) for one in scores], report):
        context.conclude(sentence)


def _set(path: str) -> list[Picture]:
    file, dataset = split_dataset(path)
    pictures = read_set(file)
    if dataset is not None:
        raise InputError(f"{path}: names a dataset, but a set of pictures is a whole file; write {file}")
    return pictures


def _pairs(context: Context) -> list[tuple[Picture, Picture]]:
    """Pairs each segmented picture with the truth of the same name."""
    path, truth_path = context.inputs["segmentation"], context.inputs["labels"]
    segmented, of_truth = (_set(each) for each in (path, truth_path))
    truths = {same_name(picture.name): picture for picture in of_truth}
    strangers = [picture.name for picture in segmented if same_name(picture.name) not in truths]
    if strangers:
        raise InputError(
            f"{path}: {len(strangers)} of {len(segmented)} pictures are not in {truth_path}: {some(strangers)}; "
            "score pictures that have ground truth"
        )
    pairs = [(picture, truths.pop(same_name(picture.name))) for picture in segmented]
    for picture, truth in pairs:
        for where, one in ((path, picture), (truth_path, truth)):
            if one.labels is None:
                raise InputError(f"{where}: {one.name} has no labels; connect a set of pictures with labels")
        if picture.image.shape[:2] != truth.image.shape[:2]:
            raise InputError(
                f"{path}: {picture.name} is {size(picture.image.shape[:2])} pixels, but in {truth_path} it is "
                f"{size(truth.image.shape[:2])}; "
                "connect the set whose pictures were segmented"
            )
    if truths:
        context.message(
            f"{len(truths)} of {len(truths) + len(pairs)} pictures with ground truth are not in the segmentation "
            f"and are not scored: {some(truths)}"
        )
    return pairs


def _covered(labels: Sequence[np.ndarray]) -> float:
    """Returns the share of all pixels that belong to a cell."""
    return sum(int(np.count_nonzero(each)) for each in labels) / sum(each.size for each in labels)


def _score(segmented: Picture, truth: Picture, with_v: bool) -> _Scores:
    found, cells = segmented.labels, truth.labels
    assert found is not None
    assert cells is not None
    seen, real = found > 0, cells > 0
    filled = bool(real.any())
    return _Scores(
        segmented.name,
        overlap.dice(seen, real) if filled else None,
        overlap.iou(seen, real) if filled else None,
        detection.average_precision(found, cells) if filled else None,
        int(np.count_nonzero(np.unique(found))),
        int(np.count_nonzero(np.unique(cells))),
        int(np.count_nonzero(seen & real)),
        int(np.count_nonzero(seen) + np.count_nonzero(real)),
        isbi2012.over_thresholds(segmented.probability, cells)
        if with_v and segmented.probability is not None and filled
        else None,
        cell_mistakes(found, cells),
    )


def _best(scores: Sequence[_Scores]) -> dict[str, _Best]:
    """Returns mean V_rand and V_info at the threshold that is best for the whole set, as the challenge defines them."""
    each = np.array([one.v for one in scores if one.v is not None])  # (pictures, thresholds, 2)
    if not len(each):
        return {}
    means = each.mean(axis=0)
    at = means.argmax(axis=0)
    return {name: _Best(float(means[at[k], k]), int(at[k])) for k, name in enumerate(isbi2012.VScores._fields)}


def _report(scores: Sequence[_Scores], best: dict[str, _Best]) -> dict[str, Any]:
    precisions = [one.precision for one in scores if one.precision is not None]
    precision = np.mean(precisions, axis=0) if precisions else None
    empty = [one.cells for one in scores if not one.truth_cells]
    cells = sum(one.truth_cells for one in scores)
    wrong = sum(abs(one.cells - one.truth_cells) for one in scores)
    pixels = sum(one.pixels for one in scores)
    report: dict[str, Any] = {
        "pictures": len(scores),
        "dice": _mean(one.dice for one in scores),
        "dice_pooled": 2 * sum(one.common for one in scores) / pixels if pixels else None,
        "iou": _mean(one.iou for one in scores),
        "average_precision": None if precision is None else dict(zip(_names(), precision.tolist(), strict=True)),
        "mean_average_precision": None if precision is None else float(precision.mean()),
        "count_error": _mean(one.count_error for one in scores),
        "count_error_pooled": wrong / cells if cells else None,
        "pictures_without_truth_cells": len(empty),
        "cells_in_pictures_without": sum(empty),
        "cells": sum(one.cells for one in scores),
        "truth_cells": cells,
        **dict.fromkeys(isbi2012.VScores._fields),
    }
    for name, each in best.items():
        report |= {name: each.value, f"{name}_threshold": isbi2012.THRESHOLDS[each.at]}
    return report


def _mean(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None


def _names() -> list[str]:
    return [f"{threshold:.2f}" for threshold in detection.IOU_THRESHOLDS]


def _write_table(path: Path, scores: Sequence[_Scores], best: dict[str, _Best]) -> None:
    """Writes a row for each picture, with V scores at the thresholds that are best for the whole set.

    The field of a score that a picture does not have is empty.
    """
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["picture", "cells", "truth_cells", "count_error", "dice", "iou"]
            + [f"average_precision_{name}" for name in _names()]
            + list(best)
            + list(CellMistakes._fields)
        )
        for one in scores:
            precision: Sequence[float | None] = one.precision or [None] * len(_names())
            figures = [one.count_error, one.dice, one.iou, *precision]
            v = [None if one.v is None else getattr(one.v[each.at], name) for name, each in best.items()]
            cells = ["" if figure is None else f"{figure:.4f}" for figure in (*figures, *v)]
            writer.writerow([one.name, one.cells, one.truth_cells, *cells, *one.mistakes])
