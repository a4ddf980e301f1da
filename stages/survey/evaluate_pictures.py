"""Estimates what `evaluate-pictures` needs; it checks nothing."""

from __future__ import annotations

from floodrunner.stages.evaluate_pictures import Params
from floodrunner.stages.survey.costs import PYTHON, reading
from floodrunner.stages.survey.heads import Head, Pictures
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    if pictures := look.head("segmentation", Pictures):
        memory = 1.4 * PYTHON + pictures.pixels * (16 + 2 * pictures.channels * pictures.itemsize)
        look.needs(memory, 1e5, reading(pictures.pixels, "evaluate-pictures", 2e6, "pixels"), "fewer pictures")
    return {}
