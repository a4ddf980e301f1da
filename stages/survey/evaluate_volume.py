"""Estimates what `evaluate-volume` needs; it checks nothing."""

from __future__ import annotations

from floodrunner.stages.evaluate_volume import Params
from floodrunner.stages.survey.costs import PYTHON, SLAB, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    if volume := look.head("segmentation", Volume):
        section = volume.voxels / volume.shape[0]
        look.needs(PYTHON + 10 * SLAB * section, 1e5, reading(volume.voxels, "evaluate-volume", 3e6))
    return {}
