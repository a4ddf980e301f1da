"""Classify each labelled voxel by the share of its surroundings that has the same label, to balance FFN training."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from contract.stage import Context, InputError, StageParams

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
    lom_radius_xyz: tuple[Radius, Radius, Radius] = (24, 24, 24)
    """Half size, in voxels, of the box around each voxel (the local object mask)."""
    min_size: int = Field(10000, ge=0)
    """Objects with fewer voxels count as background."""


def run(params: Params, context: Context) -> None:
    from segmentation.ffn.partitions import check_box, partition
    from stages.storage.labels import read_labels
    from stages.storage.volumes import open_volume, write_volume

    path = context.inputs["labels"]
    radius = params.lom_radius_xyz[::-1]
    with open_volume(path) as (dataset, _):
        try:
            check_box(dataset.shape, radius)
        except ValueError as error:
            raise InputError(f"{path}: {error}; lower lom_radius_xyz, or label a larger volume") from None
    labels, place = read_labels(path)
    if not labels.any():
        raise InputError(f"{path}: all voxels are background (label 0); label some objects, or choose other sections")
    report = partial(context.progress, unit="blocks")
    try:
        partitions = partition(labels, radius, params.thresholds, params.min_size, report)
    except ValueError as error:
        raise InputError(f"{path}: {error}; lower min_size") from None
    write_volume(context.outputs["volume"], "partitions", partitions, place)
