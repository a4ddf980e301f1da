"""Opens a stack of sections of any format, and checks it before any pixel is decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from floodrunner.contract.ports import is_hdf5, split_dataset
from floodrunner.contract.stage import InputError
from floodrunner.segmentation.threads import processors
from floodrunner.stages.readers import files as image_files
from floodrunner.stages.readers import hdf5, tiff
from floodrunner.stages.readers.forms import Section
from floodrunner.stages.readers.name_numbers import arrangement
from floodrunner.stages.readers.names import SUFFIXES, TIFF, section_files
from floodrunner.stages.readers.other_formats import advice
from floodrunner.stages.readers.stack import Stack, gathered, uniform
from floodrunner.stages.readers.tiles import put_together


@contextlib.contextmanager
def open_stack(path: str) -> Iterator[Stack]:
    """Opens a folder of PNG/TIFF sections, a multi-page TIFF, or an HDF5 dataset (`file.h5:name`).

    Raises:
      InputError: if `path` is none of these, or the sections differ in size or form; the message names the first
        section that differs.
    """
    file, dataset = split_dataset(path)
    where = Path(path)
    if where.is_dir():
        files, beside = section_files(where)
        if len(files) == 1 and files[0].suffix.lower() in TIFF and tiff.pages(files[0]) > 1:
            with tiff.open_tiff(files[0]) as stack:
                yield replace(stack, remarks=(*beside, *stack.remarks))
        else:
            yield _folder(path, files, beside)
    elif dataset is not None or is_hdf5(file):
        with hdf5.open_hdf5(path) as stack:
            yield stack
    elif not where.exists() or where.suffix.lower() not in SUFFIXES:
        what = "is not a stack" if where.exists() else "no such file or folder"
        if where.exists() and (said := advice(where)):
            raise InputError(f"{path}: {said}")
        raise InputError(f"{path}: {what}; name a folder of PNG or TIFF sections, a multi-page TIFF or an HDF5 file")
    elif where.suffix.lower() not in TIFF or tiff.pages(where) == 1:
        head = image_files.head(where)
        more = f" ({'; '.join((str(head.form), *head.remarks))})" if head.remarks else ""
        raise InputError(f"{path}: is one section{more}; to import all sections, name their folder, {where.parent}")
    else:
        with tiff.open_tiff(where) as stack:
            yield stack


def _folder(path: str, files: list[Path], beside: list[str]) -> Stack:
    found = arrangement(path, [file.name for file in files])
    heads = image_files.heads(path, files)
    said = [*beside, *([found.remark] if found.remark else [])]
    if found.tiles is not None:
        heads, reads, together = put_together(path, files, heads, found)
        files = [files[rows[0][0]] for rows in found.tiles]
        said.append(together)
    else:
        reads = [partial(image_files.read, file, head.form) for file, head in zip(files, heads, strict=True)]
    shape, form = uniform(path, heads)
    voxel_size, of_size = _voxel_size(path, heads)
    return Stack(
        path,
        shape,
        form,
        names=tuple(str(file) for file in files),
        files=tuple(file.name for file in files),
        voxel_size_xyz=voxel_size,
        offset_xyz=(0, 0, 0),
        reads=lambda: iter(reads),
        threads=min(processors(), 4),
        remarks=(*said, *of_size, *gathered(heads)),
    )


def _voxel_size(path: str, heads: list[Section]) -> tuple[tuple[float, float, float] | None, tuple[str, ...]]:
    """Returns the voxel size that all sections give, and a remark if they give different ones."""
    sizes = {(*head.pixel_size_xy, head.spacing) if head.pixel_size_xy else None for head in heads}
    if len(sizes) > 1:
        return None, (f"{path}: the sections give different voxel sizes, or some give none: they are not used",)
    (size,) = sizes
    return (None if size is None or size[2] is None else (size[0], size[1], size[2])), ()
