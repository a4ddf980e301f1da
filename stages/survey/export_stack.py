"""Estimates what `export-stack` needs; it checks nothing."""

from __future__ import annotations

from floodrunner.stages.export_stack import Params
from floodrunner.stages.survey.costs import PYTHON, SLAB, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    if volume := look.head("volume", Volume):
        section = volume.voxels / volume.shape[0]
        disk = (0.9 if volume.itemsize == 1 else 0.12) * volume.voxels  # grey levels, or ids
        work = reading(volume.voxels, f"export-stack style={params.style}", 5e6)
        look.needs(PYTHON + 2 * SLAB * section * volume.itemsize, disk, work)
    return {}
