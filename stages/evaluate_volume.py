"""Score a segmented volume against ground truth."""

from __future__ import annotations

from contract.stage import Context, StageParams

INPUTS = {"segmentation": "labels", "labels": "labels"}
OUTPUTS = {"metrics": "metrics"}


class Params(StageParams):
    """No parameters. The ground truth is cropped to the box of the segmentation. Voxels with label 0 do not count."""


def run(params: Params, context: Context) -> None:
    from stages.reports.volume_scores import score_volumes

    score_volumes(context)
