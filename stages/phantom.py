"""Make an EM-like volume with known neurites, to try out a pipeline."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from floodrunner.contract.lengths import VoxelSize
from floodrunner.contract.ports import VOXELS
from floodrunner.contract.stage import Context, InputError, StageParams

INPUTS: dict[str, str] = {}
OUTPUTS = {"image": "image", "labels": "labels"}

_OPACITY = 0.35  # of the colours in the preview


class Params(StageParams):
    size_xyz: VOXELS = (192, 192, 48)
    """Size of the volume in voxels; z is the number of sections."""
    voxel_size_xyz: VoxelSize = (8.0, 8.0, 30.0)
    """Voxel size in nm. Membranes are about 25 nm wide; z is the thickness of a section."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the random numbers: the same seed gives the same volume."""
    diameter: float = 210.0
    """Diameter of a typical neurite, nm."""
    noise: float = 12.0
    """Standard deviation of the imaging noise, in grey levels; 0 for none."""
    jitter: float = 4.0
    """Standard deviation of the shift of each section in x and in y, nm; 0 for none. Labels are shifted too."""
    clutter: float = 1.0
    """Density of organelles and synapses: 1 is the density in cortex, 0 is none."""


def run(params: Params, context: Context) -> None:
    from floodrunner.segmentation.phantom import phantom
    from floodrunner.stages.readers import files
    from floodrunner.stages.reports.overview import of, overview
    from floodrunner.stages.storage.volumes import Place, write_volume

    place = Place(params.voxel_size_xyz)
    x, y, z = params.size_xyz
    try:
        image, labels = phantom(
            (z, y, x),
            place.spacing,
            params.seed,
            diameter=params.diameter,
            noise=params.noise,
            jitter=params.jitter,
            clutter=params.clutter,
        )
    except ValueError as error:
        raise InputError(f"phantom: {error}") from error
    write_volume(context.outputs["image"], "image", image, place)
    write_volume(context.outputs["labels"], "labels", labels, place)
    context.metric("neurites", int(labels.max()))
    preview = context.output_folder / "preview.png"
    files.write(preview, overview([of("image", image), of("truth", labels)], (z, y, x), place, _OPACITY))
    context.artifact(preview, "image and truth: the middle section, and a cut along z")
