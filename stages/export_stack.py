"""Write a volume as PNG or TIFF sections: images unchanged; labels as an overlay, ids, greys or colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from floodrunner.stages.reports.label_styles import Draw
    from floodrunner.stages.reports.overlays import Part
    from floodrunner.stages.storage.labels import Labels
    from floodrunner.stages.storage.volumes import Volume

INPUTS = {"volume": "image|labels", "image": "image?", "truth": "labels?"}
OUTPUTS = {"sections": "sections"}

_FAST = 3  # compression level of PNG sections; low, because compressing takes longer than colouring


class Params(StageParams):
    format: Literal["png", "tiff"] = "png"
    """Format of the files. Each section is one file, z0000.png or z0000.tif and so on, numbered as in the whole
    stack. TIFF files carry the voxel size, if it is known, as Fiji reads it."""
    style: Literal["ids", "8_bit", "colour", "overlay", "vast"] | None = None
    """How labels are written; images are written unchanged. Left out: with the port `image`, `sections` are an
    overlay, to look at, and a folder `ids` beside it has the ids, for programs; without it, `sections` are the ids. If
    you set a style, `sections` have it, and there is no second folder: programs that read `sections` as ids need ids.
    ids: 16-bit grey, or 32-bit grey in TIFF if needed. 8_bit: grey 1 to 255; ids above 255 share greys with smaller
    ids. colour: a colour for each id. overlay: these colours, blended with the image. vast: colours that encode ids
    like VAST: id = R x 65536 + G x 256 + B. With the port `truth`, an object has the colour of the true object that it
    overlaps most, in an overlay and in colour; of several such objects, the one with the largest overlap. With the port
    `image`, `overview.png` shows the middle section and a cut along z: image, result and, if connected, truth."""
    opacity: float = Field(0.35, ge=0, le=1)
    """Opacity of the colours in an overlay, 0 to 1."""


class _Kind(NamedTuple):
    """One kind of sections: their folder, the suffix of the files, what they show, and how a section is drawn."""

    folder: Path
    suffix: str
    title: str
    draw: Draw


def run(params: Params, context: Context) -> None:
    from floodrunner.stages.reports.overlays import truth_beside
    from floodrunner.stages.storage.labels import Labels
    from floodrunner.stages.storage.volumes import open_volume

    path = context.inputs["volume"]
    with open_volume(path) as volume, ExitStack() as opened:
        volume.announce(context)
        for port in ("image", "truth"):
            if port in context.inputs and _is_image(volume):
                raise InputError(f"{path}: is an image itself; connect `{port}` only if `volume` holds labels")
        if _is_image(volume):
            draw = _image_pixels(params, volume, context)
            folder, suffix = context.outputs["sections"], _suffix(params.format)
            kind = _Kind(folder, suffix, "", lambda section, _: draw(section))
            _write([kind], volume, lambda part: volume[part], None, context)
            return
        image = opened.enter_context(_image_at(volume, context))
        labels = Labels(path, volume)
        _say_taken_for_labels(path, volume, context)
        truth = None
        if "truth" in context.inputs:
            beside = truth_beside(context.inputs["truth"], volume.shape, volume.place, path, context)
            truth = opened.enter_context(beside)
        recolour = _recolour(labels, truth, context)
        kinds = _kinds(params, labels, recolour, context)
        _write(kinds, volume, labels.read, image if params.style in (None, "overlay") else None, context)
        labels.announce(context)
        if image:
            _write_overview(labels, volume, image, truth, recolour, params.opacity, context)


def _write(
    kinds: list[_Kind],
    volume: Volume,
    read: Callable[[slice], np.ndarray],
    image: Part | None,
    context: Context,
) -> None:
    """Writes each section in each of the kinds, and reports the folders."""
    from concurrent.futures import ThreadPoolExecutor

    from floodrunner.segmentation.threads import processors
    from floodrunner.stages.readers import files
    from floodrunner.stages.storage.labels import slabs

    first, total = volume.place.offset[0], len(volume)
    for kind in kinds:
        kind.folder.mkdir()

    def write(z: int, section: np.ndarray, grey: np.ndarray | None) -> None:
        for folder, suffix, _, draw in kinds:
            file = folder / f"z{first + z:04d}{suffix}"
            files.write(file, draw(section, grey), _FAST, volume.place.known_voxel_size)

    with ThreadPoolExecutor(min(processors(), 4)) as pool:
        for part in slabs(volume.shape, volume.depth):
            sections = read(part)
            greys = image(part) if image else [None] * len(sections)
            jobs = list(map(pool.submit, [write] * len(sections), range(part.start, part.stop), sections, greys))
            for z, job in enumerate(jobs, part.start + 1):
                job.result()
                context.progress(z, total, "sections")
    for kind in kinds:
        title = f"; {kind.title}" if kind.title else ""
        context.artifact(kind.folder, f"{total} sections, the first is z{first:04d}{kind.suffix}{title}")


@contextmanager
def _image_at(volume: Volume, context: Context) -> Iterator[Part | None]:
    """Opens the image, if one is connected: yields what `greys_under` does, None without an image."""
    from floodrunner.stages.reports.overlays import greys_under

    if "image" not in context.inputs:
        yield None
        return
    path = context.inputs["volume"]
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


def _kinds(
    params: Params, labels: Labels, recolour: Callable[[np.ndarray], np.ndarray], context: Context
) -> list[_Kind]:
    """Returns the kinds of sections that are written of labels."""
    from floodrunner.stages.reports import label_styles as styles

    folder, form = context.outputs["sections"], params.format
    style = params.style or ("overlay" if "image" in context.inputs else "ids")
    if style == "ids":
        found = styles.ids(labels, form, wide_as_tiff=False)
        return [_Kind(folder, _suffix(form), found.title, found.draw)]
    if style == "8_bit":
        return [_Kind(folder, _suffix(form), "grey 1 to 255", styles.greys(labels, context))]
    if style == "vast":
        return [_Kind(folder, _suffix(form), "ids as VAST colours", styles.vast(labels))]
    if style == "colour":
        return [_Kind(folder, _suffix(form), "a colour for each object", styles.coloured(recolour))]
    if "image" not in context.inputs:
        raise InputError(
            "style: overlay needs the image; connect it with in: {image: image.volume}, or use style: colour"
        )
    more = "scale and truth" if "truth" in context.inputs else "scale"
    title = f"objects in colour over the image (with {more}: overview.png)"
    kinds = [_Kind(folder, _suffix(form), title, styles.over_image(recolour, params.opacity))]
    if params.style is None:
        found = styles.ids(labels, form, wide_as_tiff=True)
        kinds.append(_Kind(folder.with_name("ids"), _suffix(found.format), found.title, found.draw))
    return kinds


def _recolour(labels: Labels, truth: Part | None, context: Context) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that replaces ids by those whose colours they have; the same ids without a truth."""
    from floodrunner.segmentation.matching import colour_ids, recoloured
    from floodrunner.segmentation.scores import rand_and_vi
    from floodrunner.stages.storage.labels import slabs

    if truth is None:
        return lambda section: section
    parts = []
    for z in slabs(labels.shape, labels.depth):
        parts.append(rand_and_vi.overlaps(labels.read(z), truth(z)))
        context.progress(z.stop, labels.shape[0], "sections compared with the truth")
    ids, colours = colour_ids(rand_and_vi.combine(parts))
    return lambda section: recoloured(section, ids, colours)


def _write_overview(
    labels: Labels,
    volume: Volume,
    image: Part,
    truth: Part | None,
    recolour: Callable[[np.ndarray], np.ndarray],
    opacity: float,
    context: Context,
) -> None:
    from floodrunner.stages.readers import files
    from floodrunner.stages.reports.overview import Shown, overview

    name = "result, in the colours of the truth" if truth else "labels"
    shown = [Shown("image", image), Shown(name, lambda z, y=slice(None): recolour(labels.read(z, y)))]
    shown += [Shown("truth", truth)] if truth else []
    file = context.output_folder / "overview.png"
    files.write(file, overview(shown, volume.shape, volume.place, opacity), _FAST)
    what = "image, result and truth" if truth else "image and labels"
    context.artifact(file, f"{what}: the middle section, and a cut along z")


def _say_taken_for_labels(path: str, volume: Volume, context: Context) -> None:
    from floodrunner.stages.storage.volumes import DATASETS

    if volume.name.rsplit("/", 1)[-1] not in DATASETS.values():
        context.message(
            f"{path}: dataset {volume.name} is taken for labels; if it is an image, rename it {DATASETS['image']}"
        )


def _is_image(volume: Volume) -> bool:
    from floodrunner.stages.storage.volumes import DATASETS

    return volume.name.rsplit("/", 1)[-1] == DATASETS["image"]


def _suffix(form: str) -> str:
    return ".tif" if form == "tiff" else ".png"
