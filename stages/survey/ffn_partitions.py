"""Checks for `ffn-partitions` whether the box around a voxel fits into the volume."""

from __future__ import annotations

from floodrunner.stages.ffn_partitions import Params, radius_of
from floodrunner.stages.survey.costs import PYTHON, reading
from floodrunner.stages.survey.heads import Head, Positions, Volume
from floodrunner.stages.survey.look import Look

_BLOCK = 64 * 256 * 256


def survey(params: Params, look: Look) -> dict[str, Head]:
    labels = look.head("labels", Volume)
    if labels is None:
        return {}
    # SciPy; numbers of the objects, 1 or 2 bytes; and the sums of a block.
    memory = 1.6 * PYTHON + 2 * labels.voxels + 10 * min(labels.voxels, _BLOCK)
    look.needs(memory, 0.035 * labels.voxels, reading(labels.voxels, "ffn-partitions", 2e6))
    with look.checks():
        radius = radius_of(params, labels.shape, look.name("labels"), look.context)
        return {"volume": Positions(labels.shape, radius, True, labels.place)}
    return {}
