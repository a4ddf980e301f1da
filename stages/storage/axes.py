"""Which axes of an HDF5 dataset are z, y and x: from what the file says about them, else from their lengths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5 import attribute, reading
from floodrunner.stages.storage.words import shown

ILASTIK = "in ilastik: Export Image Settings > Transpose to Axis Order zyx"

_LETTERS = {
    **{letter: letter for letter in "zyxct"},
    "depth": "z",
    "plane": "z",
    "height": "y",
    "row": "y",
    "width": "x",
    "column": "x",
    "channel": "c",
    "channels": "c",
    "time": "t",
}
_WORDS = {"c": "channels", "t": "points in time"}
_COLOURS, _PICTURE = 4, 64
"""A last axis no longer than the first is taken for colours if the two axes before it are as long as the second."""


class Axes(NamedTuple):
    """The axes z, y and x of a dataset, as numbers of its axes; all others have length 1.

    Attributes:
      remarks: what was found that the user should know.
    """

    zyx: tuple[int, int, int]
    remarks: tuple[str, ...] = ()


def axes_of(dataset: h5py.Dataset, where: str | Path) -> Axes:
    """Finds the axes of a volume.

    Their names are in the attribute `axistags` (ilastik, vigra), in the labels of the dimensions, or in the names of
    dimension scales (NetCDF). Without names, the axes are z, y, x once those of length 1 are left out. Time counts as
    z where there is no z: ilastik takes the pages of a TIFF for points in time.

    Raises:
      InputError: if the dataset is not a volume, for example because it has several channels, or looks like a picture.
    """
    name, shape = shown(str(dataset.name).strip("/")), dataset.shape
    tags, source = _names(dataset, where)
    if tags is None:
        zyx = _without_singletons(shape)
        if zyx is None:
            raise InputError(
                f"{where}: dataset {name} has {len(shape)} axes, {shape}; a volume has three, (z, y, x): save the part "
                f"you mean as a dataset of its own ({ILASTIK})"
            )
        _check_picture(shape, zyx, f"{where}: dataset {name}")
        return Axes(zyx, () if source is None else (source,))
    said = f"{where}: dataset {name} has the axes {', '.join(tags)} of lengths {shape} ({source})"
    if len(tags) != len(shape) or len(set(tags)) != len(tags):
        raise InputError(f"{said}, which do not fit each other; correct or remove them")
    length = dict(zip(tags, shape, strict=True))
    remarks = []
    if length.get("t", 1) > 1 and length.get("z", 1) == 1:
        tags = [{"t": "z", "z": "t"}.get(tag, tag) for tag in tags]
        remarks.append(f"the axis t (time) of dataset {name} is taken as the axis of sections ({source})")
    several = [f"{n} {_WORDS[tag]}" for tag, n in zip(tags, shape, strict=True) if tag in _WORDS and n > 1]
    if several:
        raise InputError(f"{said}: {' and '.join(several)}; a volume has one: save one as (z, y, x) ({ILASTIK})")
    if not {"z", "y", "x"} <= set(tags):
        raise InputError(f"{said}; a volume has z, y and x: save it so ({ILASTIK})")
    zyx = tags.index("z"), tags.index("y"), tags.index("x")
    if list(zyx) != sorted(zyx):
        z, y, x = (shape[axis] for axis in zyx)
        remarks.append(
            f"the axes of dataset {name} are {', '.join(tags)} ({source}): read as {z} sections of {x} x {y} pixels "
            "(x, y)"
        )
    return Axes(zyx, tuple(remarks))


def may_be_volume(shape: tuple[int, ...]) -> bool:
    """Whether a dataset has three axes, or would have without its axes of length 1."""
    return _without_singletons(shape) is not None


def _without_singletons(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    if len(shape) == 3:
        return (0, 1, 2)
    long = [axis for axis, length in enumerate(shape) if length != 1]
    if len(shape) < 3 or len(long) > 3:
        return None
    if len(long) == 2 and long[0] > 0 and long[1] == long[0] + 1:  # one section
        return (long[0] - 1, *long)  # type: ignore[return-value]  # three of them
    return (long[0], long[1], long[2]) if len(long) == 3 else None


def _check_picture(shape: tuple[int, ...], zyx: tuple[int, int, int], what: str) -> None:
    z, y, x = (shape[axis] for axis in zyx)
    if x <= _COLOURS and min(z, y) >= _PICTURE:
        raise InputError(
            f"{what} has the shape {shape}, which looks like a picture of {y} x {z} pixels with {x} colour(s), not "
            f"like {z} sections that are {x} wide; save grey values as (z, y, x), one section as (1, {z}, {y}); if "
            "these are sections, label the dimensions z, y, x"
        )


def _names(dataset: h5py.Dataset, where: str | Path) -> tuple[list[str] | None, str | None]:
    """Returns letters of the axes and where they are from; without letters, a remark on names that are not known."""
    tags = attribute(dataset, "axistags", where)
    if tags is not None:
        return _axistags(tags, where, dataset), "attribute axistags"
    with reading(where):
        if not _has_sound_dimensions(dataset):
            return None, "its dimension labels are damaged, so its axes are taken as z, y, x"
        labels = [_dimension(dimension) for dimension in dataset.dims]
    if not any(labels):
        return None, None
    letters = [_LETTERS.get(label.lower().strip()) for label in labels]
    if all(letters):
        return [str(letter) for letter in letters], "dimension labels"
    return None, (
        f"its dimension labels ({', '.join(shown(label, 20) or 'none' for label in labels)}) are not known, so its "
        "axes are taken as z, y, x"
    )


def _has_sound_dimensions(dataset: h5py.Dataset) -> bool:
    """Whether the attributes behind `dataset.dims` have the types that HDF5 expects; with others, it crashes."""
    for name in ("DIMENSION_LABELS", "DIMENSION_LIST"):
        if name not in dataset.attrs:
            continue
        found = dataset.attrs.get_id(name)
        text = h5py.check_string_dtype(found.dtype)
        scales = h5py.check_vlen_dtype(found.dtype)
        is_sound = text is not None and text.length is None
        if name == "DIMENSION_LIST":
            is_sound = scales is not None and h5py.check_ref_dtype(scales) is h5py.Reference
        if found.shape != (dataset.ndim,) or not is_sound:
            return False
    return True


def _dimension(dimension: Any) -> str:
    if dimension.label:
        return str(dimension.label)
    scales = dimension.keys() if len(dimension) else []
    names = [str(dimension[0].name).rsplit("/", 1)[-1]] if len(dimension) else []
    return next((name for name in (*scales, *names) if name), "")


def _axistags(text: Any, where: str | Path, dataset: h5py.Dataset) -> list[str]:
    try:
        keys = [axis["key"] for axis in json.loads(text)["axes"]]
        return [_LETTERS[str(key).lower()] for key in keys]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(
            f"{where}: attribute axistags of dataset {shown(str(dataset.name))} is {shown(repr(text))}, which names no "
            "axes out of t, z, y, x, c; correct or remove it"
        ) from None
