"""Write a volume as PNG or TIFF sections: images unchanged; labels as ids, greys, colours or an overlay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import h5py
    import numpy as np

    from stages.storage.volumes import Place

INPUTS = {"volume": "image|labels", "image": "image?"}
OUTPUTS = {"sections": "sections"}

_OVERVIEW_LEAST, _OVERVIEW_MOST = 512, 2048  # pixels: smallest and largest length of the longest side of a section
_GAP = 8
_FAST = 3  # compression level of PNG sections; low, because compressing takes longer than colouring


class Params(StageParams):
    format: Literal["png", "tiff"] = "png"
    """Format of the files. Each section is one file, z0000.png or z0000.tif and so on, numbered as in the whole
    stack."""
    style: Literal["ids", "8_bit", "colour", "overlay", "vast"] | None = None
    """How labels are written; images are written unchanged. ids (the default): 16-bit grey, or 32-bit grey in TIFF if
    needed. 8_bit: grey 1 to 255; ids above 255 share greys with smaller ids. colour: a colour for each id. overlay:
    these colours, blended with the image at the port `image`. vast: colours that encode ids like VAST: id = R x 65536
    + G x 256 + B."""
    opacity: float = Field(0.35, ge=0, le=1)
    """Opacity of the colours in an overlay, 0 to 1."""


def run(params: Params, context: Context) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from segmentation.threads import processors
    from stages.readers import files
    from stages.storage.labels import slabs
    from stages.storage.volumes import open_volume, read_part

    folder = context.outputs["sections"]
    with open_volume(context.inputs["volume"]) as (volume, place), _image_at(volume, place, context) as image:
        paint = _painter(params, volume, context)
        folder.mkdir()
        first, total = place.offset[0], len(volume)
        suffix = ".tif" if params.format == "tiff" else ".png"

        def write(z: int, section: np.ndarray, grey: np.ndarray | None) -> None:
            files.write(folder / f"z{first + z:04d}{suffix}", paint(section, grey), _FAST)

        with ThreadPoolExecutor(min(processors(), 4)) as pool:
            for part in slabs(volume.shape, _depth(volume)):
                sections = read_part(context.inputs["volume"], volume, part)
                greys = image(part) if image and params.style == "overlay" else [None] * len(sections)
                jobs = list(map(pool.submit, [write] * len(sections), range(part.start, part.stop), sections, greys))
                for z, job in enumerate(jobs, part.start + 1):
                    job.result()
                    context.progress(z, total, "sections")
        context.artifact(folder, f"{total} sections, the first is z{first:04d}{suffix}")
        if image:
            middle = slice(total // 2, total // 2 + 1)
            labels = read_part(context.inputs["volume"], volume, middle)[0]
            path = folder.with_name("overview.png")
            files.write(path, _overview(image(middle)[0], labels, params.opacity), _FAST)
            context.artifact(path, f"section {first + total // 2}: the image, and the labels over it")


@contextmanager
def _image_at(volume: h5py.Dataset, place: Place, context: Context) -> Iterator[Callable[[slice], np.ndarray] | None]:
    """Opens the image, if one is connected.

    Yields:
      A function that returns the part of the image at a range of sections of the volume; None if no image is connected.

    Raises:
      InputError: if the volume does not lie inside the image, or is an image itself.
    """
    from stages.storage.volumes import open_volume, read_part
    from stages.storage.words import box

    if "image" not in context.inputs:
        yield None
        return
    path, of_volume = context.inputs["image"], context.inputs["volume"]
    if _is_image(volume):
        raise InputError(f"{of_volume}: is an image itself; connect `image` only if `volume` holds labels")
    with open_volume(path) as (image, image_place):
        start = [a - b for a, b in zip(place.offset, image_place.offset, strict=True)]
        stop = [a + n for a, n in zip(start, volume.shape, strict=True)]
        if min(start) < 0 or any(a > n for a, n in zip(stop, image.shape, strict=True)):
            raise InputError(
                f"{of_volume}: its box, {box(volume.shape, place.offset)}, is not inside the box of the image, "
                f"{box(image.shape, image_place.offset)}; connect the image that the labels were made from"
            )
        z, y, x = start
        yield lambda part: read_part(
            path, image, slice(part.start + z, part.stop + z), slice(y, stop[1]), slice(x, stop[2])
        )


def _painter(
    params: Params, volume: h5py.Dataset, context: Context
) -> Callable[[np.ndarray, np.ndarray | None], np.ndarray]:
    """Returns a function that turns a section of the volume, and of the image, into the pixels of a file."""
    import numpy as np

    from segmentation import colours, labels

    path = context.inputs["volume"]
    if _is_image(volume):
        if params.style is not None:
            raise InputError(f"style: {params.style} is for labels, but {path} is an image; leave style out")
        return lambda section, _: section
    from stages.storage.labels import check_labels

    check_labels(path, volume)
    style = params.style or "ids"
    if style == "overlay":
        if "image" not in context.inputs:
            raise InputError(
                "style: overlay needs the image; connect it with in: {image: image.volume}, or use style: colour"
            )
        return lambda section, grey: colours.overlay(np.asarray(grey), section, params.opacity)
    if style == "colour":
        return lambda section, _: colours.colours(section)
    largest = _largest(path, volume)
    if style == "8_bit":
        if largest > 255:
            context.message(f"ids go up to {largest}, so several ids have the same grey; style: ids keeps them apart")
        return lambda section, _: labels.to_greys(section)
    if style == "vast":
        if largest >= 2**24:
            raise InputError(f"{path}: id {largest} does not fit the 24 bits of style: vast; use style: ids")
        return lambda section, _: labels.ids_to_rgb(section)
    if largest < 2**16:
        return lambda section, _: section.astype(np.uint16)
    if params.format == "png":
        raise InputError(
            f"{path}: id {largest} does not fit the 16 bits of a grey PNG; set format: tiff, or style: vast"
        )
    if largest >= 2**32:
        raise InputError(f"{path}: id {largest} does not fit the 32 bits of a TIFF; renumber the ids")
    return lambda section, _: section.astype(np.uint32)


def _is_image(volume: h5py.Dataset) -> bool:
    from stages.storage.volumes import DATASETS

    return volume.name.rsplit("/", 1)[-1] == DATASETS["image"]


def _largest(path: str, volume: h5py.Dataset) -> int:
    from stages.storage.labels import slabs
    from stages.storage.volumes import read_part

    if volume.dtype.itemsize == 1:
        return 255
    return max(int(read_part(path, volume, part).max()) for part in slabs(volume.shape, _depth(volume)))


def _depth(volume: h5py.Dataset) -> int:
    return volume.chunks[0] if volume.chunks else 16


def _overview(image: np.ndarray, labels: np.ndarray, opacity: float) -> np.ndarray:
    """Returns image and overlay side by side, (y, x, 3) uint8; small sections are enlarged, large ones reduced."""
    import numpy as np
    from PIL import Image

    from segmentation.colours import overlay

    factor = max(1, _OVERVIEW_LEAST // max(image.shape))
    image, labels = (array.repeat(factor, 0).repeat(factor, 1) for array in (image, labels))
    gap = np.full((image.shape[0], _GAP, 3), 255, np.uint8)
    both = np.concatenate([np.repeat(image[..., None], 3, 2), gap, overlay(image, labels, opacity)], axis=1)
    picture = Image.fromarray(both)
    picture.thumbnail((2 * _OVERVIEW_MOST, _OVERVIEW_MOST))
    return np.asarray(picture)
