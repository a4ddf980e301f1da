"""Write a volume as PNG or TIFF sections: images unchanged; labels as ids, greys, colours or an overlay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.stages.storage.labels import Labels
    from floodrunner.stages.storage.volumes import Volume

INPUTS = {"volume": "image|labels", "image": "image?"}
OUTPUTS = {"sections": "sections"}

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

    from floodrunner.segmentation.threads import processors
    from floodrunner.stages.readers import files
    from floodrunner.stages.reports.overlays import overview
    from floodrunner.stages.storage.labels import Labels, slabs
    from floodrunner.stages.storage.volumes import open_volume

    folder = context.outputs["sections"]
    path = context.inputs["volume"]
    with open_volume(path) as volume, _image_at(volume, context) as image:
        volume.announce(context)
        labels = None if _is_image(volume) else Labels(path, volume)
        if labels is None:
            of_image = _image_pixels(params, volume, context)
        else:
            _say_taken_for_labels(path, volume, context)
            of_labels = _label_pixels(params, labels, context)
        folder.mkdir()
        first, total = volume.place.offset[0], len(volume)
        suffix = ".tif" if params.format == "tiff" else ".png"

        def write(z: int, section: np.ndarray, grey: np.ndarray | None) -> None:
            pixels = of_image(section) if labels is None else of_labels(section, grey)
            files.write(folder / f"z{first + z:04d}{suffix}", pixels, _FAST)

        with ThreadPoolExecutor(min(processors(), 4)) as pool:
            for part in slabs(volume.shape, volume.depth):
                sections = volume[part] if labels is None else labels.read(part)
                greys = image(part) if image and params.style == "overlay" else [None] * len(sections)
                jobs = list(map(pool.submit, [write] * len(sections), range(part.start, part.stop), sections, greys))
                for z, job in enumerate(jobs, part.start + 1):
                    job.result()
                    context.progress(z, total, "sections")
        context.artifact(folder, f"{total} sections, the first is z{first:04d}{suffix}")
        if labels is not None:
            labels.announce(context)
        if image and labels is not None:
            middle = slice(total // 2, total // 2 + 1)
            picture = folder.with_name("overview.png")
            files.write(picture, overview(image(middle)[0], labels.read(middle)[0], params.opacity), _FAST)
            context.artifact(picture, f"section {first + total // 2}: the image, and the labels over it")


@contextmanager
def _image_at(volume: Volume, context: Context) -> Iterator[Callable[[slice], np.ndarray] | None]:
    """Opens the image, if one is connected: yields what `greys_under` does, None without an image."""
    from floodrunner.stages.reports.overlays import greys_under

    if "image" not in context.inputs:
        yield None
        return
    path = context.inputs["volume"]
    if _is_image(volume):
        raise InputError(f"{path}: is an image itself; connect `image` only if `volume` holds labels")
    with greys_under(context.inputs["image"], volume.shape, volume.place, path, context) as greys:
        yield greys


def _image_pixels(params: Params, volume: Volume, context: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that turns a section of an image into the pixels of a file, with the same values."""
    import numpy as np

    path = context.inputs["volume"]
    if params.style is not None:
        raise InputError(f"style: {params.style} is for labels, but {path} is an image; leave style out")
    if volume.dtype.kind == "b":
        context.message(f"{path}: the image is true and false, which are written as 255 and 0")
        return lambda section: np.where(section, np.uint8(255), np.uint8(0))
    if params.format == "png" and volume.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path}: the image is {volume.dtype}, but a PNG takes whole numbers of 8 or 16 bits without sign; set "
            "format: tiff, which keeps all values"
        )
    if volume.dtype == np.float16:  # few programs read it
        return lambda section: section.astype(np.float32)
    return lambda section: section


def _label_pixels(
    params: Params, volume: Labels, context: Context
) -> Callable[[np.ndarray, np.ndarray | None], np.ndarray]:
    """Returns a function that turns a section of labels, and of the image, into the pixels of a file."""
    import numpy as np

    from floodrunner.segmentation import colours, labels

    path = context.inputs["volume"]
    style = params.style or "ids"
    if style == "overlay":
        if "image" not in context.inputs:
            raise InputError(
                "style: overlay needs the image; connect it with in: {image: image.volume}, or use style: colour"
            )
        return lambda section, grey: colours.overlay(np.asarray(grey), section, params.opacity)
    if style == "colour":
        return lambda section, _: colours.colours(section)
    largest = _largest(volume)
    if style == "8_bit":
        if largest > 255:
            ids = _ids(volume)
            shared = len(ids) - len(np.unique(labels.to_greys(ids)))
            context.message(
                f"ids go up to {largest}: above 255 the greys begin again at 1, so {shared} of {len(ids)} ids share "
                "their grey with another; style: ids keeps them apart"
            )
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
        raise InputError(
            f"{path}: id {largest} does not fit the 32 bits of a TIFF; renumber the ids (import-labels with relabel: "
            "connected_components), or use style: colour"
        )
    return lambda section, _: section.astype(np.uint32)


def _say_taken_for_labels(path: str, volume: Volume, context: Context) -> None:
    from floodrunner.stages.storage.volumes import DATASETS

    if volume.name.rsplit("/", 1)[-1] not in DATASETS.values():
        context.message(
            f"{path}: dataset {volume.name} is taken for labels; if it is an image, rename it {DATASETS['image']}"
        )


def _is_image(volume: Volume) -> bool:
    from floodrunner.stages.storage.volumes import DATASETS

    return volume.name.rsplit("/", 1)[-1] == DATASETS["image"]


def _ids(volume: Labels) -> np.ndarray:
    from floodrunner.segmentation.ffn.partitions import object_sizes
    from floodrunner.stages.storage.labels import slabs

    return object_sizes(volume.read(part) for part in slabs(volume.shape, volume.depth))[0]


def _largest(volume: Labels) -> int:
    from floodrunner.stages.storage.labels import slabs

    if volume.dtype.itemsize == 1:
        return 255
    return max(int(volume.read(part).max()) for part in slabs(volume.shape, volume.depth))
