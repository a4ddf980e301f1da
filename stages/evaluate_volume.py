"""Score a segmented volume against ground truth."""

from __future__ import annotations

from typing import Literal

from floodrunner.contract.stage import Context, StageParams

INPUTS = {"segmentation": "labels", "labels": "labels"}
OUTPUTS = {"metrics": "metrics"}


class Params(StageParams):
    """The ground truth is cropped to the box of the segmentation. Voxels with label 0 in it do not count. Beside the
    scores, `worst.csv` lists the merges and splits that cost most, with a voxel (x, y, z in the whole stack) inside."""

    what: Literal["neurons", "cells", "objects"] = "objects"
    """What the objects of the truth are called in the sentences about the result."""


def run(params: Params, context: Context) -> None:
    from floodrunner.stages.reports.volume_scores import score_volumes

    score_volumes(context, params.what)
