"""Says in a sentence what objects a volume has."""

from __future__ import annotations

from floodrunner.segmentation.objects import Objects
from floodrunner.stages.storage.object_table import cubic_um
from floodrunner.stages.storage.volumes import Place

_LARGE = 0.5
"""Share of all segmented voxels from which on one object may be many that are merged."""


def objects_in_words(objects: Objects, voxels: int, place: Place) -> str:
    """Says how many objects there are, which is the largest, and how many do not touch the border of the volume.

    Args:
      voxels: number of voxels of the volume.
    """
    count = len(objects.ids)
    if not count:
        return "There is no object in the volume"
    largest, segmented = int(objects.voxels.argmax()), int(objects.voxels.sum())
    size = int(objects.voxels[largest])
    um3 = cubic_um(size, place)
    of = f"{size:,} voxels" if um3 is None else f"{um3:.3g} µm³"
    share, whole = size / segmented, int((objects.border == 0).all(axis=1).sum())
    every = f"{count:,} object{'s' if count > 1 else ''} in {100 * segmented / voxels:.0f} % of the volume"
    inside = f"{whole:,} of them" if whole else "none of them"
    text = (
        f"{every}, {inside} away from its border; the largest, {objects.ids[largest]}, has {of}, "
        f"{100 * share:.0f} % of all objects together"
    )
    return f"{text}: it may be many that are merged" if count > 1 and share > _LARGE else text
