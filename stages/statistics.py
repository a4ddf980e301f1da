"""Compute mean and standard deviation of an image over all its voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

INPUTS = {"volume": "image"}
OUTPUTS = {"json": "statistics"}


class Params(StageParams):
    pass


def run(params: Params, context: Context) -> None:
    import json

    from segmentation.statistics import moments
    from stages.storage.labels import slabs
    from stages.storage.volumes import open_volume, read_part

    path = context.inputs["volume"]
    with open_volume(path) as (volume, _):
        if volume.dtype.kind not in "uif":
            raise InputError(
                f"{path}: dataset {volume.name} is {volume.dtype}, not grey values; import the images again"
            )

        def parts() -> Iterator[np.ndarray]:
            for part in slabs(volume.shape, volume.chunks[0] if volume.chunks else 16):
                yield read_part(path, volume, part)
                context.progress(part.stop, volume.shape[0], "sections")

        try:
            found = moments(parts())
        except ValueError as error:
            raise InputError(f"{path}: {error}; make the volume again without them") from None
    if found.stddev == 0:
        raise InputError(
            f"{path}: every voxel is {found.minimum:g}; check the sections: no network can be trained on them"
        )
    context.metric("mean", found.mean)
    context.metric("stddev", found.stddev)
    context.outputs["json"].write_text(json.dumps(found._asdict(), indent=2) + "\n", encoding="utf-8")
