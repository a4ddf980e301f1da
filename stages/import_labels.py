"""Read a stack of labels, one integer id per object: grey of 8, 16 or 32 bits, or RGB as VAST exports it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from floodrunner.contract.lengths import VoxelSize
from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from floodrunner.stages.readers.stack import Stack
    from floodrunner.stages.storage.volumes import Place

INPUTS = {"stack": "stack", "images": "image?"}
OUTPUTS = {"volume": "labels"}

_OPACITY = 0.35  # of the colours in the preview

Id = Annotated[int, Field(ge=-(2**63), lt=2**64)]


class Params(StageParams):
    voxel_size_xyz: VoxelSize | None = None
    """Size of a voxel in nm. If left out, the voxel size of the images is used; without images, the size in the TIFF or
    HDF5 file is used, or 1, 1, 1 if the file gives no size."""
    relabel: Literal["none", "connected_components"] = "none"
    """none keeps the ids. connected_components gives each connected piece (26 neighbours) its own id."""
    unlabelled: tuple[Id, ...] = ()
    """Ids that mean "none", besides 0; for example [255]. The three largest ids of 32 and 64 bits, which are -1, -2 and
    -3 in signed types, always mean "none"."""
    check_order: bool = True
    """Refuse labels that do not lie on the images: shifted by one section, transposed, mirrored, turned, or in reverse
    order. The check compares the numbers in the file names, and tests whether outlines and areas of the labels fit the
    image section before or after, or mirrored and turned, better than their own as they are."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.labels import connected_pieces, number_pieces
    from floodrunner.stages.readers.label_pixels import Unlabelled, check_form
    from floodrunner.stages.readers.label_place import check_lie, sampled_sections
    from floodrunner.stages.readers.label_report import refuse_greys, report
    from floodrunner.stages.readers.sections import open_stack
    from floodrunner.stages.readers.stack import announce, counted, slabs
    from floodrunner.stages.storage.volumes import create_volume, keep_names, open_volume

    with open_stack(context.inputs["stack"]) as stack:
        check_form(f"{stack.path}: the sections are {stack.form}", stack.form)
        announce(stack, context)
        place = _place(stack, params, context)
        wide, relabel = stack.form.bits == 64, params.relabel == "connected_components"
        passes = 1 + wide + relabel
        unlabelled = Unlabelled(params.unlabelled)

        if stack.form.samples > 2:  # an overlay is refused before all of it is read
            first = unlabelled.ids_of(next(iter(stack.reads()))(), stack.names[0])
            refuse_greys(stack, len(np.unique(first)), [first] if first.any() else [])

        def sections(number: int) -> Iterator[np.ndarray]:
            unlabelled.voxels.clear()
            return counted(stack.sections(unlabelled.ids_of), number, passes, stack.shape[0], context)

        big = wide and max(int(section.max()) for section in sections(0)) >= 2**32
        dtype = np.uint64 if big and not relabel else np.uint32
        numbers = sampled_sections(stack.shape[0])
        some: dict[int, np.ndarray] = {}
        with create_volume(context.outputs["volume"], "labels", stack.shape, dtype, place) as volume:
            keep_names(volume, stack.files)
            depth = volume.chunks[0]
            if relabel:
                pieces = connected_pieces(_kept(slabs(sections(passes - 2), depth), numbers, some))
                for _ in _written(number_pieces(slabs(sections(passes - 1), depth), pieces), volume):
                    pass
            else:
                pieces = connected_pieces(_kept(_written(slabs(sections(passes - 1), depth), volume), numbers, some))
            report(stack, pieces, unlabelled, list(some.values()), relabel, context)
            if "images" in context.inputs and params.check_order:
                with open_volume(context.inputs["images"]) as image:
                    check_lie(stack, volume, some, image, context)
    if "images" in context.inputs:
        _write_preview(context)


def _write_preview(context: Context) -> None:
    """Draws the labels over the images, so that the user sees before training whether they fit."""
    from floodrunner.stages.readers import files
    from floodrunner.stages.reports.overlays import greys_under
    from floodrunner.stages.reports.overview import Shown, of, preview
    from floodrunner.stages.storage.volumes import open_volume

    path = context.outputs["volume"]
    with open_volume(path) as labels:
        shape, place = labels.shape, labels.place
        with greys_under(context.inputs["images"], shape, place, context.inputs["stack"], context) as greys:
            over = of("labels over the image", labels)
            picture = preview(Shown("image", greys), over, shape, place, _OPACITY)
    file = context.output_folder / "preview.png"
    files.write(file, picture)
    context.artifact(file, "labels over images: see whether they lie on each other")


def _written(parts: Iterable[np.ndarray], volume: h5py.Dataset) -> Iterator[np.ndarray]:
    start = 0
    for part in parts:
        volume[start : start + len(part)] = part
        start += len(part)
        yield part


def _kept(parts: Iterable[np.ndarray], numbers: Collection[int], kept: dict[int, np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the parts unchanged, and keeps the middle of the sections that have these numbers."""
    from floodrunner.segmentation.turns import middle

    start = 0
    for part in parts:
        window = middle(part.shape[1:])
        kept.update({k: part[k - start][window].copy() for k in numbers if start <= k < start + len(part)})
        start += len(part)
        yield part


def _place(stack: Stack, params: Params, context: Context) -> Place:
    """Returns the place of the labels, which is the place of the images if images are connected.

    Raises:
      InputError: if labels and images differ in size or voxel size, or their section numbers do not match.
    """
    from floodrunner.stages.readers.stack import place_of
    from floodrunner.stages.storage.volumes import kept_names, open_volume

    if "images" not in context.inputs:
        return place_of(stack, params.voxel_size_xyz, context)
    with open_volume(context.inputs["images"]) as image:
        names = kept_names(image) if params.check_order else None
        return place_on(stack, params, image.shape, image.place, names, context)


def place_on(
    stack: Stack,
    params: Params,
    shape: tuple[int, int, int],
    place: Place,
    names: Sequence[str] | None,
    context: Context,
) -> Place:
    """Returns the place of labels on images.

    Args:
      stack: the labels.
      shape, place, names: of the images: size z, y, x, place, and file names of the sections, if they are known.

    Raises:
      InputError: like `_place`.
    """
    from floodrunner.stages.readers.label_place import check_numbers, check_size

    check_size(stack, shape, place, context)
    if params.voxel_size_xyz not in (None, place.voxel_size_xyz):
        raise InputError(
            f"voxel_size_xyz: {list(params.voxel_size_xyz or ())} is given, but the voxel size of the images is "
            f"{list(place.voxel_size_xyz)}; leave voxel_size_xyz out here, so that the size of the images is used"
        )
    if params.check_order:
        check_numbers(stack, names)
    return place
