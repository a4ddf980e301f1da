"""Score a segmented volume against ground truth."""

from __future__ import annotations

from contract.stage import Context, StageParams

INPUTS = {"segmentation": "labels", "labels": "labels"}
OUTPUTS = {"metrics": "metrics"}


class Params(StageParams):
    """No parameters. The truth is cut to the box of the segmentation; voxels where the truth is 0 do not count."""


def run(params: Params, context: Context) -> None:
    from stages.reports.volume_scores import score_volumes

    score_volumes(context)
