"""Read pictures and their masks, paired by name, and set some of them aside as a test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from floodrunner.stages.readers.masks import Mask
    from floodrunner.stages.readers.pictures import Source
    from floodrunner.stages.storage.image_sets import Picture

INPUTS = {"images": "pictures", "labels": "pictures"}
OUTPUTS = {"training": "image-set", "test": "image-set"}

_LEAST = 3  # smallest number of pictures: one for the test set, two for unet-train (training and validation)


class Params(StageParams):
    labels_are: Literal["auto", "binary", "inverted", "instances", "classes"] = "auto"
    """What the values in a mask mean. binary: two values, the higher one in cells; each connected piece (4 neighbours)
    is a cell. inverted: the same, but cells have the lower value, as black on white. instances: an id for each cell, 0
    elsewhere. classes: a value for each kind of cell, 0 elsewhere; each connected piece of one value is a cell. auto:
    binary or instances, decided from the values. Not needed if the masks are a folder for each picture with a file for
    each cell."""
    check_order: bool = True
    """Refuse masks that do not lie on their pictures, but would if they were mirrored, transposed or turned. The check
    compares how bright the pictures are inside and outside of cells."""
    convert_rgb: Literal["keep", "luminance"] = "keep"
    """How to convert colours to grey. luminance: 0.299 R + 0.587 G + 0.114 B. Pictures whose colours are all grey
    become grey in any case."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """Share of the pictures that go into the test set, which training does not use. At least one picture goes into the
    test set, and at least two are left for training. Pictures without cells are shared out in proportion; two pictures
    with cells are left for training."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the random choice of the test set."""


def run(params: Params, context: Context) -> None:
    from floodrunner.stages.reports.previews import write_preview
    from floodrunner.stages.storage.image_sets import write_set

    pictures = _read(params, context)
    _check_kinds(pictures)
    held_back = _drawn(pictures, params)
    sets = {
        "training": [picture for k, picture in enumerate(pictures) if k not in held_back],
        "test": [picture for k, picture in enumerate(pictures) if k in held_back],
    }
    for port, chosen in sets.items():
        write_set(context.outputs[port], chosen)
        context.metric(f"{port}_pictures", len(chosen))
        context.metric(f"{port}_cells", sum(map(_cells, chosen)))
    if not any(map(_cells, sets["test"])):
        count = sum(map(bool, map(_cells, pictures)))
        context.message(
            f"only {count} of {len(pictures)} pictures {'have' if count > 1 else 'has'} cells, and training and "
            "validation need them: the test set has no cell, so its scores say nothing about how well cells are found; "
            "add pictures with cells"
        )
    preview = context.output_folder / "preview.png"
    write_preview(preview, sets["training"])
    context.artifact(preview, "some pictures; below each, the cells in its mask")


def _read(params: Params, context: Context) -> list[Picture]:
    from floodrunner.segmentation.contrast import luminance
    from floodrunner.stages.readers.mask_meaning import cells_in
    from floodrunner.stages.readers.mask_turns import check_turns
    from floodrunner.stages.readers.masks import open_masks, read_ids
    from floodrunner.stages.readers.pictures import image_of, open_pictures
    from floodrunner.stages.storage.image_sets import Picture

    path, mask_path = context.inputs["images"], context.inputs["labels"]
    with open_pictures(path) as pictures, open_masks(mask_path) as masks:
        pairs = pairs_of(pictures, masks, path, mask_path, params, context)
        images, ids = [], []
        sizes = [picture.head().pixel_size_xy for picture, _ in pairs]
        for done, (picture, mask) in enumerate(pairs, 1):
            image = image_of(picture)
            ids.append(read_ids(mask, picture, (image.shape[0], image.shape[1])))
            images.append(luminance(image) if image.ndim == 3 and params.convert_rgb == "luminance" else image)
            context.progress(done, len(pairs), "pictures")
    labels, told = cells_in(ids, "files" if masks[0].per_cell else params.labels_are, mask_path)
    for line in told:
        context.message(line)
    found = [
        Picture(pair[0].name, image, cells, pixel_size_xy=size)
        for pair, image, cells, size in zip(pairs, images, labels, sizes, strict=True)
    ]
    _tell_empty(found, context)
    for line in check_turns(found, mask_path) if params.check_order else ():
        context.message(line)
    return found


def pairs_of(
    pictures: Sequence[Source], masks: Sequence[Mask], path: str, mask_path: str, params: Params, context: Context
) -> list[tuple[Source, Mask]]:
    """Pairs pictures with masks by their names; tells what is unusual about the files.

    Raises:
      InputError: if the names do not pair, there are too few pictures, or the masks are not what `labels_are` says.
    """
    from pathlib import Path

    from floodrunner.stages.readers.pairs import pair
    from floodrunner.stages.readers.pictures import left_out, remarks

    for line in filter(None, map(left_out, dict.fromkeys((path, mask_path)))):
        context.message(line)
    for line in (*remarks(pictures), *remarks([file for mask in masks for file in mask.files])):
        context.message(line)
    per_cell = masks[0].per_cell
    if Path(path).resolve() == Path(mask_path).resolve() and not per_cell:
        raise InputError(f"{path}: images and labels are the same; give the folder of the masks as labels")
    if per_cell and params.labels_are not in ("auto", "instances"):
        raise InputError(
            f"{mask_path}: holds a folder for each picture, with a file for each cell; leave labels_are out"
        )
    pairs = pair(pictures, masks, path, mask_path)
    if len(pairs) < _LEAST:
        raise InputError(
            f"{path}: holds {'one picture' if len(pairs) == 1 else 'two pictures'}; give three or more: one to "
            "train on, one to validate the training with, and one to test the result"
        )
    return pairs


def _tell_empty(pictures: Sequence[Picture], context: Context) -> None:
    from floodrunner.stages.storage.words import some

    empty = [picture.name for picture in pictures if not _cells(picture)]
    if empty:
        have = "have" if len(empty) > 1 else "has"
        context.message(f"{len(empty)} of {len(pictures)} pictures {have} no cell: {some(empty)}")


def _check_kinds(pictures: Sequence[Picture]) -> None:
    """Raises InputError if some pictures are grey and some have colours: a network takes only one kind."""
    grey = [picture.name for picture in pictures if picture.image.ndim == 2]
    colour = [picture.name for picture in pictures if picture.image.ndim == 3]
    if grey and colour:
        raise InputError(
            f"{grey[0]} is grey and {colour[0]} has colours ({len(grey)} grey and {len(colour)} colour pictures); "
            "convert all to grey with convert_rgb: luminance, or remove one kind"
        )


def _drawn(pictures: Sequence[Picture], params: Params) -> set[int]:
    import numpy as np

    from floodrunner.segmentation.unet.kept_out import drawn

    size = min(max(1, round(params.test_fraction * len(pictures))), len(pictures) - _LEAST + 1)
    return set(drawn([bool(_cells(each)) for each in pictures], size, _LEAST - 1, np.random.default_rng(params.seed)))


def _cells(picture: Picture) -> int:
    import numpy as np

    assert picture.labels is not None
    return int(np.count_nonzero(np.unique(picture.labels)))
