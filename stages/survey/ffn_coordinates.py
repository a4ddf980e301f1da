"""Checks for `ffn-coordinates` whether there is room for positions, and how near they come to the border."""

from __future__ import annotations

import math
from dataclasses import replace

from floodrunner.stages.ffn_coordinates import Params, margin_of
from floodrunner.stages.survey.costs import PYTHON, reading
from floodrunner.stages.survey.heads import Head, Positions
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    partitions = look.head("partitions", Positions)
    if partitions is None:
        return {}
    voxels = math.prod(partitions.shape)
    with look.checks():
        margin = margin_of(params, partitions.shape, look.name("partitions"), look.context)
        z, y, x = (max(both) for both in zip(margin, partitions.room, strict=True))
        inner = math.prod(max(n - 2 * m, 0) for n, m in zip(partitions.shape, (z, y, x), strict=True))
        disk = 0.3 * inner + (12 * voxels if params.tfrecord else 0)
        look.needs(PYTHON + 2 * voxels + 2 * inner, disk, reading(voxels, "ffn-coordinates", 4e6))
        if not inner:
            size, border = (" x ".join(str(n) for n in reversed(each)) for each in (partitions.shape, (z, y, x)))
            look.problems.append(
                f"{look.name('partitions')}: no voxel is {border} voxels (x, y, z) away from the border of a volume of "
                f"{size}, so there are no positions; lower margin_xyz (or lom_radius_xyz of ffn-partitions)"
            )
            return {}
        # Positions in the background fill all that is inside the margin; objects may stay further away.
        return {"table": replace(partitions, room=(z, y, x), certain=params.background)}
    return {}
