"""Give each unclaimed voxel the id of the nearest segment."""

from __future__ import annotations

from pydantic import Field

from contract.stage import Context, StageParams

INPUTS = {"segmentation": "labels"}
OUTPUTS = {"segmentation": "labels"}

_SLAB_VOXELS = 2**25


class Params(StageParams):
    max_distance: float = Field(40, gt=0, allow_inf_nan=False)
    """How far a segment may reach for a voxel, in nm, between centres; of segments equally near, the smallest id."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from segmentation.fill import fill, reach
    from stages.storage.labels import check_labels, read_box, slabs
    from stages.storage.volumes import create_volume, open_volume

    path = context.inputs["segmentation"]
    unclaimed = filled = 0
    with open_volume(path) as (source, place):
        check_labels(path, source)
        if place.voxel_size_xyz == (1.0, 1.0, 1.0):
            context.message(
                f"{path}: the voxels are 1 x 1 x 1 nm, as where nobody gave their size; if they are not, set "
                "voxel_size_xyz where the images are imported: max_distance is in nm"
            )
        shape = source.shape
        halo = reach(shape, place.spacing, params.max_distance)[0]
        with create_volume(context.outputs["segmentation"], "segmentation", shape, source.dtype, place) as target:
            depth = max(1, _SLAB_VOXELS // (shape[1] * shape[2]) // 16) * 16
            for z in slabs(shape, depth):
                first = max(z.start - halo, 0)
                labels = read_box(path, source, (slice(first, z.stop + halo), slice(None), slice(None)))
                core = slice(z.start - first, z.stop - first)
                result = fill(labels, place.spacing, params.max_distance)[core]
                target[z] = result
                holes = labels[core] == 0
                unclaimed += int(holes.sum())
                filled += int(np.count_nonzero(result[holes]))
                context.progress(z.stop, shape[0], "sections")
    context.message(
        f"filled {filled:,} of {unclaimed:,} unclaimed voxels, those within {params.max_distance:g} nm of a segment"
    )
