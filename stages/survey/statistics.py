"""Estimates what `statistics` needs; it checks nothing."""

from __future__ import annotations

from floodrunner.stages.statistics import Params
from floodrunner.stages.survey.costs import PYTHON, SLAB, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    if image := look.head("volume", Volume):
        section = image.voxels / image.shape[0]
        look.needs(PYTHON + 4 * SLAB * section * image.itemsize, 1000, reading(image.voxels, "statistics", 1e7))
    return {}
