"""Scores of a set of segmented pictures against a set of pictures with truth, picture by picture and overall."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from segmentation import detection, isbi2012, masks
from stages._contract import Context, InputError
from stages._image_sets import Picture, read_set
from stages._section_names import some


class Scores(NamedTuple):
    """Of one picture. `precision` is for each of `detection.IOU_THRESHOLDS`; `v` for each of `isbi2012.THRESHOLDS`,
    or None where no probability was predicted or there are no cells."""

    name: str
    dice: float
    iou: float
    precision: list[float]
    cells: int
    truth_cells: int
    v: list[isbi2012.VScores] | None

    @property
    def count_error(self) -> float:
        return detection.count_error(self.cells, self.truth_cells)


class Best(NamedTuple):
    """The best mean over the pictures, and at which place in `isbi2012.THRESHOLDS` it is."""

    value: float
    at: int


def score_sets(context: Context) -> None:
    """Writes `metrics.json`, and `pictures.csv` beside it. Figures of the set are means over its pictures.

    Raises:
      InputError: if the sets do not belong together, or one of them has no labels.
    """
    pairs = _pairs(context)
    scores = []
    for done, (segmented, truth) in enumerate(pairs, 1):
        scores.append(_score(segmented, truth))
        context.progress(done, len(pairs), "pictures")
    best = _best(scores)
    report = _report(scores, best)
    context.outputs["metrics"].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    table = context.output_folder / "pictures.csv"
    _write_table(table, scores, best)
    context.artifact(table, "the scores of each picture")
    print(_summary(report))
    if not report["cells"]:
        context.message("the segmentation has no cell: its score says nothing")
    for name in ("dice", "iou"):
        context.metric(name, report[name])
    context.metric("average_precision_0.50", report["average_precision"]["0.50"])
    context.metric("mean_average_precision", report["mean_average_precision"])
    context.metric("count_error", report["count_error"])
    for name in best:
        context.metric(name, report[name])


def _pairs(context: Context) -> list[tuple[Picture, Picture]]:
    """Each segmented picture with the truth of its name."""
    path, truth_path = context.inputs["segmentation"], context.inputs["labels"]
    segmented, truths = read_set(path), {picture.name: picture for picture in read_set(truth_path)}
    strangers = [picture.name for picture in segmented if picture.name not in truths]
    if strangers:
        raise InputError(
            f"{path}: {len(strangers)} of {len(segmented)} pictures are not in {truth_path}: {some(strangers)}; "
            "score pictures that have a truth"
        )
    pairs = [(picture, truths.pop(picture.name)) for picture in segmented]
    for picture, truth in pairs:
        for where, one in ((path, picture), (truth_path, truth)):
            if one.labels is None:
                raise InputError(f"{where}: {one.name} has no labels; connect a set of pictures with labels")
        if picture.image.shape[:2] != truth.image.shape[:2]:
            raise InputError(
                f"{path}: {picture.name} is {_size(picture)} pixels, in {truth_path} it is {_size(truth)}; "
                "score the pictures that were segmented"
            )
    if truths:
        context.message(
            f"{len(truths)} of {len(truths) + len(pairs)} pictures with truth are not in the segmentation, and do not "
            f"count: {some(truths)}"
        )
    return pairs


def _size(picture: Picture) -> str:
    height, width = picture.image.shape[:2]
    return f"{width} x {height}"


def _score(segmented: Picture, truth: Picture) -> Scores:
    found, cells = segmented.labels, truth.labels
    assert found is not None
    assert cells is not None
    return Scores(
        segmented.name,
        masks.dice(found > 0, cells > 0),
        masks.iou(found > 0, cells > 0),
        detection.average_precision(found, cells),
        int(np.count_nonzero(np.unique(found))),
        int(np.count_nonzero(np.unique(cells))),
        None
        if segmented.probability is None or not cells.any()
        else isbi2012.over_thresholds(segmented.probability, cells),
    )


def _best(scores: Sequence[Scores]) -> dict[str, Best]:
    """V_rand and V_info at the threshold that is best for the set as a whole, as in the challenge."""
    each = np.array([one.v for one in scores if one.v is not None])  # (pictures, thresholds, 2)
    if not len(each):
        return {}
    means = each.mean(axis=0)
    at = means.argmax(axis=0)
    return {name: Best(float(means[at[k], k]), int(at[k])) for k, name in enumerate(isbi2012.VScores._fields)}


def _report(scores: Sequence[Scores], best: dict[str, Best]) -> dict[str, Any]:
    precision = np.mean([one.precision for one in scores], axis=0)
    report: dict[str, Any] = {
        "pictures": len(scores),
        "dice": fmean(one.dice for one in scores),
        "iou": fmean(one.iou for one in scores),
        "average_precision": dict(zip(_names(), precision.tolist(), strict=True)),
        "mean_average_precision": float(precision.mean()),
        "count_error": fmean(one.count_error for one in scores),
        "cells": sum(one.cells for one in scores),
        "truth_cells": sum(one.truth_cells for one in scores),
    }
    for name, (value, at) in best.items():
        report |= {name: value, f"{name}_threshold": isbi2012.THRESHOLDS[at]}
    return report


def _names() -> list[str]:
    return [f"{threshold:.2f}" for threshold in detection.IOU_THRESHOLDS]


def _write_table(path: Path, scores: Sequence[Scores], best: dict[str, Best]) -> None:
    """A row for each picture; V scores at the thresholds that are best for the whole set."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["picture", "cells", "truth_cells", "count_error", "dice", "iou"]
            + [f"average_precision_{name}" for name in _names()]
            + list(best)
        )
        for one in scores:
            figures = [one.count_error, one.dice, one.iou, *one.precision]
            v = [None if one.v is None else getattr(one.v[at], name) for name, (_, at) in best.items()]
            cells = ["" if figure is None else f"{figure:.4f}" for figure in (*figures, *v)]
            writer.writerow([one.name, one.cells, one.truth_cells, *cells])


def _summary(report: dict[str, Any]) -> str:
    rows = [
        ("Dice", report["dice"], "1 is perfect; the mask of all cells"),
        ("intersection over union", report["iou"], "likewise"),
        ("average precision, IoU above 0.5", report["average_precision"]["0.50"], "TP / (TP + FP + FN) of cells"),
        ("mean for IoU 0.5 to 0.95", report["mean_average_precision"], "stricter: outlines count"),
        ("count error", report["count_error"], "of the number of cells, relative; 0 is perfect"),
    ]
    for name, title in (("v_rand", "V_rand"), ("v_info", "V_info")):
        if name in report:
            threshold = report[f"{name}_threshold"]
            rows.append((title, report[name], f"ISBI 2012; probability above {threshold}, borders thinned"))
    lines = [f"{title:<33}{value:>10.4f}   {note}" for title, value, note in rows]
    pictures = f"{report['pictures']} picture{'s' if report['pictures'] > 1 else ''}"
    lines.append(f"{pictures}; {report['cells']} cells, {report['truth_cells']} in the truth")
    return "\n".join(lines)
