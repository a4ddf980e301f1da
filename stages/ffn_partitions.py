"""Classify each labelled voxel by the share of its surroundings that has the same label, to balance FFN training."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from floodrunner.contract.ffn import Auto
from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import numpy as np

INPUTS = {"labels": "labels"}
OUTPUTS = {"volume": "partitions"}

Radius = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]


def _ascending(thresholds: tuple[float, ...]) -> tuple[float, ...]:
    if list(thresholds) != sorted(set(thresholds)):
        raise ValueError(f"thresholds must ascend, each greater than the one before; got {list(thresholds)}")
    return thresholds


class Params(StageParams):
    thresholds: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=253), AfterValidator(_ascending)] = (
        *(0.025, 0.05, 0.075),
        *(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    )
    """Limits between the classes, ascending: shares of the box that have the label of the voxel."""
    lom_radius_xyz: Auto | tuple[Radius, Radius, Radius] = (24, 24, 24)
    """Half size, in voxels, of the box around each voxel (the local object mask). auto: 24, or a third of the volume
    along axes of less than 64 voxels."""
    min_size: int = Field(10000, ge=0)
    """Objects with fewer voxels count as background."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.ffn.partitions import (
        large_objects,
        number_objects,
        object_sizes,
        partition_slabs,
    )
    from floodrunner.segmentation.pieces import of_length
    from floodrunner.stages.storage.labels import open_labels, slabs
    from floodrunner.stages.storage.volumes import create_volume

    path = context.inputs["labels"]
    with open_labels(path, context) as (labels, place):
        shape = labels.shape
        radius = radius_of(params, shape, path, context)

        def parts() -> Iterator[np.ndarray]:
            return map(labels.read, slabs(shape))

        ids, sizes = object_sizes(parts())
        if not len(ids):
            labels.announce(context)
            raise InputError(
                f"{path}: all voxels are background (label 0); label some objects, or choose other sections"
            )
        try:
            kept = large_objects(ids, sizes, params.min_size)
        except ValueError as error:
            raise InputError(f"{path}: {error}; lower min_size") from None
        objects = number_objects(parts(), shape, kept)
    inner = objects[tuple(slice(r, n - r) for r, n in zip(radius, shape, strict=True))]
    if not any(section.any() for section in inner):
        raise InputError(
            f"{path}: no object of {params.min_size} voxels or more comes further into the volume than lom_radius_xyz "
            f"{list(radius[::-1])}; lower lom_radius_xyz or min_size, or label a larger volume"
        )
    report = partial(context.progress, unit="blocks")
    with create_volume(context.outputs["volume"], "partitions", shape, np.uint8, place) as target:
        depth = target.chunks[0]
        made = of_length(partition_slabs(objects, radius, params.thresholds, report), depth)
        for z, part in zip(slabs(shape, depth), made, strict=True):
            target[z] = part


def radius_of(params: Params, shape: tuple[int, int, int], path: str, context: Context) -> tuple[int, int, int]:
    """Returns the half size of the box, z, y, x; says how it was fitted if the user left that to the stage.

    Args:
      shape: of the labels, z, y, x; `path`, their name for messages.

    Raises:
      InputError: if the box does not fit into the volume.
    """
    from floodrunner.segmentation.ffn import fitting
    from floodrunner.segmentation.ffn.partitions import check_box

    try:
        if isinstance(params.lom_radius_xyz, str):
            radius, because = fitting.margin(shape)
            context.message(f"lom_radius_xyz is {fitting.numbers(radius)}, because {because}")
            return radius
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    x, y, z = params.lom_radius_xyz
    try:
        check_box(shape, (z, y, x))
    except ValueError as error:
        raise InputError(f"{path}: {error}; lower lom_radius_xyz, or label a larger volume") from None
    return z, y, x
