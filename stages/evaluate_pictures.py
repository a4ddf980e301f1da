"""Score a set of segmented pictures against a set with ground truth."""

from __future__ import annotations

from floodrunner.contract.stage import Context, StageParams

INPUTS = {"segmentation": "image-set", "labels": "image-set"}
OUTPUTS = {"metrics": "metrics"}


class Params(StageParams):
    """No parameters. Each segmented picture is scored against the picture with the same name in `labels`. V_rand and
    V_info are computed only if cells cover at least 0.6 of all pixels in `labels`, as they do in maps of membranes.
    `pictures.csv` has the scores of each picture, and what became of its cells: docs/results.md."""


def run(params: Params, context: Context) -> None:
    from floodrunner.stages.reports.picture_scores import score_sets

    score_sets(context)
