"""Give each unsegmented voxel the id of the nearest segment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from floodrunner.contract.stage import Context, StageParams

if TYPE_CHECKING:
    from floodrunner.stages.storage.volumes import Place

INPUTS = {"segmentation": "labels"}
OUTPUTS = {"segmentation": "labels"}

_SLAB_VOXELS = 2**23
_HALOS = 4
"""Smallest number of halos in a slab: a halo on either side is filled too, only for what is between."""


class Params(StageParams):
    """Beside the volume, `objects.csv` lists its objects: voxels, µm³, box, centroid, and the number of voxels on each
    face of the volume. Positions are in voxels of the whole stack; `x_min` to `z_max` are the first and the last voxel.
    What is in µm is empty if the voxel size is not known."""

    max_distance: float = Field(40, gt=0, allow_inf_nan=False)
    """Largest distance, in nm, from the centre of an unsegmented voxel to the centre of the nearest voxel of a segment.
    Voxels further away stay unsegmented. If several segments are equally near, the smallest id is taken."""


def too_far(distance: float, shape: tuple[int, int, int], place: Place) -> str | None:
    """Says if `max_distance` is longer than the volume, so that all of it is filled; None if it is not.

    Args:
      shape: z, y, x.
    """
    from floodrunner.segmentation.fill import diagonal

    across = diagonal(shape, place.spacing)
    if distance < across:
        return None
    return (
        f"max_distance, {distance:g} nm, is not less than the diagonal of the volume, {across:.3g} nm, so all of it is "
        "filled; check the voxel size"
    )


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.fill import diagonal, fill, reach
    from floodrunner.segmentation.objects import Measuring
    from floodrunner.stages.reports.object_words import objects_in_words
    from floodrunner.stages.storage.labels import open_labels, slabs
    from floodrunner.stages.storage.object_table import write_objects
    from floodrunner.stages.storage.volumes import create_volume

    path = context.inputs["segmentation"]
    empty = filled = 0
    with open_labels(path, context) as (source, place):
        if place.voxel_size_xyz == (1.0, 1.0, 1.0):
            context.message(
                f"{path}: the voxel size is 1 x 1 x 1 nm, the value for an unknown size; max_distance is in nm, so if "
                "the voxel size is wrong, set voxel_size_xyz in the step that imports the images"
            )
        shape = source.shape
        if said := too_far(params.max_distance, shape, place):
            context.message(f"{path}: {said}")
        # Nothing is further away than the diagonal, and `fill` tells distances apart to a 30,000th of its limit.
        distance = min(params.max_distance, diagonal(shape, place.spacing))
        halo = reach(shape, place.spacing, distance)[0]
        with create_volume(context.outputs["segmentation"], "segmentation", shape, source.dtype, place) as target:
            measuring = Measuring(shape, source.dtype)
            depth = max(1, _SLAB_VOXELS // (shape[1] * shape[2]) // 16, -(-_HALOS * halo // 16)) * 16
            for z in slabs(shape, depth):
                first = max(z.start - halo, 0)
                labels = source.read(slice(first, z.stop + halo))
                core = slice(z.start - first, z.stop - first)
                result = fill(labels, place.spacing, distance)[core]
                target[z] = result
                measuring.add(result, z.start)
                holes = labels[core] == 0
                empty += int(holes.sum())
                filled += int(np.count_nonzero(result[holes]))
                context.progress(z.stop, shape[0], "sections")
    context.message(
        f"filled {filled:,} of {empty:,} unsegmented voxels: those within {params.max_distance:g} nm of a segment"
    )
    objects = measuring.result()
    table = context.output_folder / "objects.csv"
    write_objects(table, objects, place)
    context.metric("objects", len(objects.ids))
    context.conclude(objects_in_words(objects, math.prod(shape), place))
    if len(objects.ids):
        context.artifact(table, "voxels, µm³, box, centroid and border contacts of each object")
