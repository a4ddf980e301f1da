"""Compute mean and standard deviation of an image, without blank sections, saturated sections and black borders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

INPUTS = {"volume": "image"}
OUTPUTS = {"json": "statistics"}


class Params(StageParams):
    pass


def run(params: Params, context: Context) -> None:
    import json

    from floodrunner.segmentation.statistics import moments
    from floodrunner.stages.reports import odd_sections
    from floodrunner.stages.storage.labels import slabs
    from floodrunner.stages.storage.volumes import kept_names, open_volume

    path = context.inputs["volume"]
    with open_volume(path) as volume:
        volume.announce(context)
        if volume.dtype.kind not in "uif":
            raise InputError(
                f"{path}: dataset {volume.name} is {volume.dtype}, not grey values; import the images again"
            )

        def parts() -> Iterator[np.ndarray]:
            for part in slabs(volume.shape, volume.depth):
                yield volume[part]
                context.progress(part.stop, volume.shape[0], "sections")

        try:
            whole, tissue, odd = moments(parts())
        except ValueError as error:
            raise InputError(f"{path}: {error}; make the volume again without them") from None
        names = kept_names(volume) or [f"section {k}" for k in range(volume.shape[0])]
    if tissue.stddev == 0:
        raise InputError(
            f"{path}: every voxel is {whole.minimum:g}; check the sections: no network can be trained on them"
        )
    # Tissue is what a network is to see as mean 0 and deviation 1; a few lost sections would shift and stretch it.
    record: dict[str, object] = tissue._asdict()
    if tissue.voxels < whole.voxels:
        record["whole"] = whole._asdict()
        context.message(
            f"mean and stddev are those of the tissue, {tissue.mean:.4g} and {tissue.stddev:.4g}; with "
            f"{odd_sections.left_out(odd, names)} they would be {whole.mean:.4g} and {whole.stddev:.4g}"
        )
    context.metric("mean", tissue.mean)
    context.metric("stddev", tissue.stddev)
    context.outputs["json"].write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
