"""Opens an HDF5 dataset as a stack of sections."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from floodrunner.segmentation.threads import processors
from floodrunner.stages.readers import forms
from floodrunner.stages.readers.stack import AHEAD_BYTES, Read, Stack
from floodrunner.stages.storage.volumes import Volume, kept_names, open_volume


@contextlib.contextmanager
def open_hdf5(path: str) -> Iterator[Stack]:
    """Opens a dataset (`file.h5:name`, or `file.h5` if it holds one volume).

    Raises:
      InputError: like `open_volume`.
    """
    with open_volume(path) as volume:
        files = kept_names(volume)
        names = files or tuple(f"section {k}" for k in range(len(volume)))
        yield Stack(
            path,
            volume.shape,
            forms.form_of(volume.dtype),
            names=tuple(f"{path} ({name})" for name in names),
            files=files,
            voxel_size_xyz=volume.place.voxel_size_xyz if volume.size_known else None,
            offset_xyz=volume.place.offset_xyz,
            reads=lambda: _reads(volume),
            threads=min(processors(), 4),
            remarks=tuple(f"{path}: {remark}" for remark in volume.remarks),
            pixel_size_xy=(size := volume.place.known_voxel_size) and size[:2],
        )


def _reads(volume: Volume) -> Iterator[Read]:
    # HDF5 decompresses whole chunks, so all their sections are read at once.
    _, y, x = volume.shape
    depth = max(1, min(volume.depth, AHEAD_BYTES // (volume.dtype.itemsize * y * x)))
    for start in range(0, len(volume), depth):
        for section in volume[start : start + depth]:
            yield lambda section=section: section  # type: ignore[misc]
