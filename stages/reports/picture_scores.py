"""Scores a set of segmented pictures against a set with ground truth, for each picture and overall."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from contract.ports import split_dataset
from contract.stage import Context, InputError
from segmentation.scores import detection, isbi2012, overlap
from stages.storage.image_sets import Picture, read_set
from stages.storage.words import size, some

_MEMBRANES = 0.6
"""The truth counts as a map of membranes if cells cover at least this share of all pixels. Cells cover 0.73 to 0.81 of
the ISBI 2012 sections; in the nuclei of the Data Science Bowl 2018, 0.13 on average and 0.38 at most."""


@dataclass(frozen=True)
class _Scores:
    """Scores of one picture.

    Attributes:
      precision: average precision at each of `detection.IOU_THRESHOLDS`.
      cells, truth_cells: number of cells in the segmentation, and in the truth.
      v: V_rand and V_info at each of `isbi2012.THRESHOLDS`; None if they are not computed for the whole set, or if the
        picture has no probability, or no cells in the truth.
    """

    name: str
    dice: float
    iou: float
    precision: list[float]
    cells: int
    truth_cells: int
    v: list[isbi2012.VScores] | None

    @property
    def count_error(self) -> float | None:
        return detection.count_error(self.cells, self.truth_cells)


@dataclass(frozen=True)
class _Best:
    """The mean of a score over the pictures at the best threshold, whose index in `isbi2012.THRESHOLDS` is `at`."""

    value: float
    at: int


def score_sets(context: Context) -> None:
    """Writes `metrics.json`, and `pictures.csv` beside it. Scores of the set are means over its pictures.

    The count error is relative, so its mean is over the pictures with cells in the truth; cells found in the other
    pictures are reported separately. The pooled count error is the sum of |found - truth| over all pictures, divided
    by the number of cells in the truth.

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
        scores.append(_score(segmented, truth, with_v=covered >= _MEMBRANES))
        context.progress(done, len(pairs), "pictures")
    best = _best(scores)
    report = _report(scores, best)
    context.outputs["metrics"].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    table = context.output_folder / "pictures.csv"
    _write_table(table, scores, best)
    context.artifact(table, "the scores of each picture")
    print(_summary(report, covered))
    if not report["cells"]:
        context.message("the segmentation has no cell, so its scores mean nothing")
    for name in ("dice", "iou"):
        context.metric(name, report[name])
    context.metric("average_precision_0.50", report["average_precision"]["0.50"])
    context.metric("mean_average_precision", report["mean_average_precision"])
    for name in ("count_error", "count_error_pooled"):
        if report[name] is not None:
            context.metric(name, report[name])
    for name in best:
        context.metric(name, report[name])


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
    truths = {picture.name: picture for picture in of_truth}
    strangers = [picture.name for picture in segmented if picture.name not in truths]
    if strangers:
        raise InputError(
            f"{path}: {len(strangers)} of {len(segmented)} pictures are not in {truth_path}: {some(strangers)}; "
            "score pictures that have ground truth"
        )
    pairs = [(picture, truths.pop(picture.name)) for picture in segmented]
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
    return _Scores(
        segmented.name,
        overlap.dice(found > 0, cells > 0),
        overlap.iou(found > 0, cells > 0),
        detection.average_precision(found, cells),
        int(np.count_nonzero(np.unique(found))),
        int(np.count_nonzero(np.unique(cells))),
        isbi2012.over_thresholds(segmented.probability, cells)
        if with_v and segmented.probability is not None and cells.any()
        else None,
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
    precision = np.mean([one.precision for one in scores], axis=0)
    errors = [one.count_error for one in scores if one.count_error is not None]
    empty = [one.cells for one in scores if not one.truth_cells]
    cells = sum(one.truth_cells for one in scores)
    wrong = sum(abs(one.cells - one.truth_cells) for one in scores)
    report: dict[str, Any] = {
        "pictures": len(scores),
        "dice": fmean(one.dice for one in scores),
        "iou": fmean(one.iou for one in scores),
        "average_precision": dict(zip(_names(), precision.tolist(), strict=True)),
        "mean_average_precision": float(precision.mean()),
        "count_error": fmean(errors) if errors else None,
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
        )
        for one in scores:
            figures = [one.count_error, one.dice, one.iou, *one.precision]
            v = [None if one.v is None else getattr(one.v[each.at], name) for name, each in best.items()]
            cells = ["" if figure is None else f"{figure:.4f}" for figure in (*figures, *v)]
            writer.writerow([one.name, one.cells, one.truth_cells, *cells])


def _summary(report: dict[str, Any], covered: float) -> str:
    rows: list[tuple[str, float | None, str]] = [
        ("Dice", report["dice"], "1 is perfect; for the mask of all cells"),
        ("intersection over union", report["iou"], "1 is perfect; for the mask of all cells"),
        ("average precision, IoU above 0.5", report["average_precision"]["0.50"], "TP / (TP + FP + FN) of cells"),
        ("mean for IoU 0.5 to 0.95", report["mean_average_precision"], "stricter: outlines must match"),
        ("count error", report["count_error"], "relative error of the number of cells; 0 is perfect"),
        ("... pooled", report["count_error_pooled"], "the same over all cells of all pictures together"),
    ]
    for name, title in (("v_rand", "V_rand"), ("v_info", "V_info")):
        if report[name] is not None:
            threshold = report[f"{name}_threshold"]
            rows.append((title, report[name], f"ISBI 2012; probability above {threshold}, borders thinned"))
    lines = [f"{title:<33}{'-' if value is None else f'{value:.4f}':>10}   {note}" for title, value, note in rows]
    if covered < _MEMBRANES:
        lines.append(
            f"no V_rand and V_info: they are for maps of membranes, where cells cover at least {_MEMBRANES:.0%}; here "
            f"cells cover {covered:.0%}"
        )
    elif report["v_rand"] is None:
        lines.append("no V_rand and V_info: no probability was predicted")
    if without := report["pictures_without_truth_cells"]:
        found = report["cells_in_pictures_without"]
        lines.append(
            f"{without} picture{'s' if without > 1 else ''} without cells in the truth; {found} cells found there"
        )
    pictures = f"{report['pictures']} picture{'s' if report['pictures'] > 1 else ''}"
    lines.append(f"{pictures}; {report['cells']} cells, {report['truth_cells']} in the truth")
    return "\n".join(lines)
