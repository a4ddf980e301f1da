"""Read a stack of labels, one integer id per object: grey of 8, 16 or 32 bits, or RGB as VAST exports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from segmentation.labels import Pieces
    from stages.readers.stack import Stack
    from stages.storage.volumes import Place

INPUTS = {"stack": "stack", "images": "image?"}
OUTPUTS = {"volume": "labels"}

Nanometres = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_NAMED = 5  # largest number of ids that a message lists
_SAMPLED = 8  # smallest number of consecutive sections in each sample for the check of the order
_WINDOW = 1024  # pixels: the check of the order reads a square with this side from the middle of each section


class Params(StageParams):
    voxel_size_xyz: tuple[Nanometres, Nanometres, Nanometres] | None = None
    """Size of a voxel in nm. If left out, the voxel size of the images is used; without images, the size in the TIFF or
    HDF5 file is used, or 1, 1, 1 if the file gives no size."""
    relabel: Literal["none", "connected_components"] = "none"
    """none keeps the ids. connected_components gives each connected piece (26 neighbours) its own id."""
    check_order: bool = True
    """Refuse labels that are shifted by one section against the images. The check compares the numbers in the file
    names, and tests whether the outlines of the labels fit the image section before or after better than their own."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from segmentation.labels import connected_pieces, number_pieces
    from stages.readers.label_pixels import check_form, ids_of
    from stages.readers.sections import open_stack
    from stages.readers.stack import announce, counted, slabs
    from stages.storage.volumes import create_volume, keep_names

    with open_stack(context.inputs["stack"]) as stack:
        check_form(f"{stack.path}: the sections are {stack.form}", stack.form)
        announce(stack, context)
        place = _place(stack, params, context)
        wide, relabel = stack.form.bits == 64, params.relabel == "connected_components"
        passes = 1 + wide + relabel

        def sections(number: int) -> Iterator[np.ndarray]:
            return counted(stack.sections(ids_of), number, passes, stack.shape[0], context)

        big = wide and max(int(section.max()) for section in sections(0)) >= 2**32
        dtype = np.uint64 if big and not relabel else np.uint32
        with create_volume(context.outputs["volume"], "labels", stack.shape, dtype, place) as volume:
            keep_names(volume, stack.files)
            depth = volume.chunks[0]
            if relabel:
                pieces = connected_pieces(slabs(sections(passes - 2), depth))
                for _ in _written(number_pieces(slabs(sections(passes - 1), depth), pieces), volume):
                    pass
            else:
                pieces = connected_pieces(_written(slabs(sections(passes - 1), depth), volume))
            _report(stack, pieces, relabel, context)
            if "images" in context.inputs and params.check_order:
                _check_shift(stack, volume, context)


def _written(parts: Iterable[np.ndarray], volume: h5py.Dataset) -> Iterator[np.ndarray]:
    start = 0
    for part in parts:
        volume[start : start + len(part)] = part
        start += len(part)
        yield part


def _place(stack: Stack, params: Params, context: Context) -> Place:
    """Returns the place of the labels, which is the place of the images if images are connected.

    Raises:
      InputError: if labels and images differ in size or voxel size, or their section numbers do not match.
    """
    from stages.readers.stack import place_of
    from stages.storage.volumes import open_volume

    if "images" not in context.inputs:
        return place_of(stack, params.voxel_size_xyz, context)
    with open_volume(context.inputs["images"]) as (image, place):
        if image.shape != stack.shape:
            what = "sections" if image.shape[1:] == stack.shape[1:] else "size"
            raise InputError(
                f"{stack.path}: {_size(stack.shape)} of labels, but {_size(image.shape)} of images; "
                f"give labels and images of the same {what}"
            )
        if params.voxel_size_xyz not in (None, place.voxel_size_xyz):
            raise InputError(
                f"voxel_size_xyz: {list(params.voxel_size_xyz or ())} is given, but the voxel size of the images is "
                f"{list(place.voxel_size_xyz)}; leave voxel_size_xyz out here, so that the size of the images is used"
            )
        if params.check_order:
            _check_numbers(stack, image)
        return place


def _size(shape: tuple[int, ...]) -> str:
    from stages.storage.words import size

    return f"{shape[0]} section{'s' if shape[0] > 1 else ''} of {size(shape[1:])}"


def _check_numbers(stack: Stack, image: h5py.Dataset) -> None:
    """Raises InputError if labels and images are different sections, according to the numbers in the file names.

    For example, section 2 of the labels must not be paired with section 1 of the images. If no number occurs in both
    (0 to 69 and 1000 to 1069), the labels are accepted: they are only counted from another number.
    """
    from stages.readers.name_numbers import section_numbers
    from stages.storage.volumes import kept_names

    names = kept_names(image)
    ours, theirs = section_numbers(stack.files or ()), section_numbers(names or ())
    if names is None or stack.files is None or ours is None or theirs is None:
        return
    if ours == theirs or not set(ours) & set(theirs):
        return
    first = next(k for k, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
    raise InputError(
        f"{stack.path}: labels and images do not match: section {first} is {stack.files[first]} in the labels and "
        f"{names[first]} in the images; give the same sections for both, or set check_order: false if only the names "
        "differ"
    )


def _report(stack: Stack, pieces: Pieces, relabel: bool, context: Context) -> None:
    ids, parts, voxels = pieces.of_ids()
    total = int(voxels.sum() + pieces.voxels[0])
    if not len(ids):
        raise InputError(
            f"{stack.path}: all {_size(stack.shape)} are background (label 0); give sections with labelled objects"
        )
    share = float(pieces.voxels[0]) / total
    context.metric("ids", int(parts.sum()) if relabel else len(ids))
    context.metric("background_share", share)
    context.message(f"{len(ids)} id{'s' if len(ids) > 1 else ''}; {100 * share:.1f} % of the voxels are background")
    if stack.form.samples > 2:
        context.message("colours are read as VAST exports them: id = R x 65536 + G x 256 + B")
    split = parts > 1
    if relabel:
        context.message(f"relabelled: {parts.sum()} connected pieces (26 neighbours), each with its own id")
    elif split.any():
        count = int(split.sum())
        some = [f"{label} in {n} pieces" for label, n in zip(ids[split][:_NAMED], parts[split][:_NAMED], strict=True)]
        if count > _NAMED:
            some.append("...")
        context.message(
            f"{count} of {len(ids)} ids {'are' if count > 1 else 'is'} not connected (26 neighbours): "
            f"{', '.join(some)}; set relabel: connected_components to give each piece its own id"
        )


def _check_shift(stack: Stack, labels: h5py.Dataset, context: Context) -> None:
    """Raises InputError if, in a sample of sections, outlines fit the section before or after better than their own."""
    from segmentation.alignment import shift_of_sections
    from stages.storage.volumes import open_volume

    depth = max(labels.chunks[0], _SAMPLED)  # HDF5 decompresses whole chunks, so all their sections are used
    starts = range(0, max(1, len(labels) - 2), depth)
    starts = starts[:: max(1, len(starts) // 2)]
    middle = tuple(slice(max(0, (n - _WINDOW) // 2), (n + _WINDOW) // 2) for n in labels.shape[1:])
    with open_volume(context.inputs["images"]) as (image, _):
        boxes = ((slice(start, start + depth), *middle) for start in starts)
        found = shift_of_sections((image[box], labels[box]) for box in boxes)
    if found is None or found[0] == 0:
        return
    shift, there, here = found
    raise InputError(
        f"{stack.path}: the labels are shifted by one section: their outlines fit the image section "
        f"{'after' if shift > 0 else 'before'} theirs better than their own (contrast {there:.2f} there, {here:.2f} in "
        "their own section); give the same sections for both, or set check_order: false if the labels are right"
    )
