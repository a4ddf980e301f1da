"""Estimates what `phantom` needs, and says how large its volumes will be."""

from __future__ import annotations

import math

from floodrunner.stages.phantom import Params
from floodrunner.stages.storage.places import Place
from floodrunner.stages.survey.costs import PYTHON, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    x, y, z = params.size_xyz
    voxels = math.prod(params.size_xyz)
    look.needs(1.4 * PYTHON + 80 * voxels, 1.1 * voxels, reading(voxels, "phantom", 2e5), "a smaller size_xyz")
    place = Place(params.voxel_size_xyz)
    return {"image": Volume((z, y, x), 1, place, True), "labels": Volume((z, y, x), 4, place, True)}
