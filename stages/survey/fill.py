"""Estimates what `fill` needs; it checks nothing."""

from __future__ import annotations

from floodrunner.stages.fill import Params, too_far
from floodrunner.stages.survey.costs import PYTHON, SLAB, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    labels = look.head("segmentation", Volume)
    if labels is None:
        return {}
    if labels.size_known and (said := too_far(params.max_distance, labels.shape, labels.place)):
        look.context.message(said)
    slab = max(2**23, SLAB * labels.voxels / labels.shape[0])
    look.needs(PYTHON + 24 * min(labels.voxels, slab), 0.1 * labels.voxels, reading(labels.voxels, "fill", 1e6))
    return {"segmentation": labels}
