"""Make an EM-like volume with known neurites, to try a pipeline on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stages._contract import VOXELS, Context, InputError, StageParams

INPUTS: dict[str, str] = {}
OUTPUTS = {"image": "image", "labels": "labels"}


class Params(StageParams):
    size_xyz: VOXELS = (192, 192, 48)
    """Size of the volume in voxels; z counts sections."""
    voxel_size_xyz: tuple[float, float, float] = (8.0, 8.0, 30.0)
    """Voxel size in nm. Membranes are some 25 nm wide, and a section is as thick as a voxel is high."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Another seed makes another volume; the same one makes the same again."""
    diameter: float = 210.0
    """Diameter of a typical neurite, nm."""
    noise: float = 12.0
    """Standard deviation of the imaging noise, in grey levels; 0 for none."""
    jitter: float = 4.0
    """Standard deviation of each section's misplacement in x and in y, nm; labels move along. 0 for none."""
    clutter: float = 1.0
    """How many organelles and synapses there are: 1 as in cortex, 0 none."""


def run(params: Params, context: Context) -> None:
    from segmentation.phantom import phantom
    from stages._volumes import Place, write_volume

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
    _write_preview(preview, image, labels)
    context.artifact(preview, "image and truth: the middle section, and a cut across the sections")


def _write_preview(path, image, labels) -> None:  # type: ignore[no-untyped-def]  # numpy is not imported up here
    import numpy as np
    from PIL import Image

    colours = np.random.default_rng(0).integers(60, 256, (int(labels.max()) + 1, 3), np.uint8)
    colours[0] = 0
    z, y = image.shape[0] // 2, image.shape[1] // 2
    rows = [
        np.concatenate([np.repeat(image[cut][..., None], 3, axis=-1), colours[labels[cut]]], axis=1)
        for cut in (np.s_[z], np.s_[:, y])
    ]
    Image.fromarray(np.concatenate(rows)).save(path)
