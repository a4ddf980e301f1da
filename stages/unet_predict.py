"""Find cells with a trained U-Net: probability, mask and numbered cells of each picture, and a table of all cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from floodrunner.contract.lengths import PixelSize
from floodrunner.contract.stage import Context, StageParams

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.segmentation.unet.instances import Cell
    from floodrunner.segmentation.unet.network import NetworkSpec
    from floodrunner.segmentation.unet.tiling import Forward
    from floodrunner.stages.reports.sheets import Panel
    from floodrunner.stages.storage.image_sets import Picture

INPUTS = {"images": "image-set|pictures", "model": "unet-model"}
OUTPUTS = {"predicted": "image-set", "labels": "sections"}

_MOST = 2**16 - 1  # largest number of cells that 16-bit ids can distinguish

UM_COLUMNS = ("area_um2", "centroid_x_um", "centroid_y_um")
"""Columns of the table of cells, as `instances.in_um` gives them."""


class Params(StageParams):
    RENAMED: ClassVar[dict[str, str]] = {"turns": "test_time_augmentation"}

    threshold: float = Field(0.5, gt=0, lt=1)
    """Probability above which a pixel is part of a cell."""
    min_size: int = Field(20, ge=1)
    """Number of pixels of the smallest cell; smaller cells are removed."""
    test_time_augmentation: bool = False
    """Predict each picture in 8 orientations (reflections and quarter turns), and take the mean. This is
    somewhat more accurate and 8 times slower."""
    tile: int = Field(2048, ge=1)
    """Longest side of a tile, pixels. Larger pictures are cut into overlapping tiles, which takes more time for each
    pixel: a seventh more with tiles of 2048, half more with 1024. If the network needs longer tiles, they are
    used: a network of depth 4 needs at least 448, twice as much with each further level. At a width of 16, tiles of
    2048 take about 2 GB of memory, and tiles of 1024 about 1.2 GB."""
    stretch: Literal["as_in_training", "fully"] = "as_in_training"
    """How far to stretch the grey levels of a picture that shows little but noise: without a smooth background, they
    range over less than 10 standard deviations of the noise, and less than those of any training picture with cells.
    as_in_training: less, so that noise in an empty field is not made as bright as cells. fully: as those of all other
    pictures, for pictures with cells that have more noise than training pictures."""
    pixel_size_xy: PixelSize | None = None
    """Length of a pixel along x and y in nm, for the columns of `cells.csv` in µm. If left out, each picture has the
    size that its TIFF file gives (Fiji: Analyze > Set Scale; OME-TIFF); without one, its columns in µm are empty. PNG
    and JPEG files give no size: their dots per inch say how large a picture is printed."""
    opacity: float = Field(0.35, ge=0, le=1)
    """Opacity of the colours in the overlays."""


def run(params: Params, context: Context) -> None:
    from floodrunner.segmentation import backend
    from floodrunner.segmentation.unet import instances
    from floodrunner.segmentation.unet.architectures import architecture_of
    from floodrunner.segmentation.unet.normalisation import is_weak
    from floodrunner.stages.reports import previews
    from floodrunner.stages.resumable import state
    from floodrunner.stages.resumable.unet_prediction import Finished
    from floodrunner.stages.storage import image_sets, unet_models, unet_ranges
    from floodrunner.stages.storage.words import some

    network, model = unet_models.read_model(context.inputs["model"])
    weakest = unet_ranges.read_ranges(context.inputs["model"], network.channels)
    if params.stretch == "fully":
        weakest = None
    compiled = backend.forward(architecture_of(network).folded(network, model))
    context.message(f"predicting on {backend.device()} ({backend.name()})")
    identity = {
        "params": params.model_dump(
            mode="json", exclude={"opacity", "pixel_size_xy"}
        ),  # these change pictures and tables only
        "network": list(network),
        "weights": state.fingerprint(*model.get_weights()),
        "weakest": weakest,
    }
    noise: list[str] = []
    columns: list[list[Panel]] = []
    finished = Finished(identity, context)
    listed: list[tuple[str, tuple[float, float] | None, Cell]] = []

    def forward(given: np.ndarray) -> np.ndarray:
        context.stop_point(lambda: None)  # nothing to save: finished pictures are already on disk
        return compiled(given)

    def predicted() -> Iterator[Picture]:
        for name, image, size, truth, draw in _sized(_images(context), params, context):
            if weakest and is_weak(image, network.channels, weakest):
                noise.append(name)
            known = finished.load(name, image)
            if known is None:
                picture = image_sets.Picture(name, image, *find(forward, network, image, weakest, params), size)
                finished.save(picture)
            else:
                picture = image_sets.Picture(name, image, *known, size)
            assert picture.labels is not None
            listed.extend((name, size, cell) for cell in instances.measure(picture.labels, grey(image)))
            _write_files(picture, truth, params, context)
            if draw:
                columns.append(previews.column(picture, truth))
            yield picture

    with context.saves_on_stop():
        image_sets.write_set(context.outputs["predicted"], predicted())
    _write_table(listed, context)
    context.metric("cells", len(listed))
    context.artifact(context.output_folder / "overlay", "each picture with its cells in colour")
    overview = context.output_folder / "overview.png"
    previews.write_columns(overview, columns)
    context.artifact(overview, "some pictures; below each, the cells found, and the true cells if they are known")
    if noise:
        context.message(
            f"{len(noise)} picture{'s show' if len(noise) > 1 else ' shows'} little but noise ({some(noise)}), as "
            "empty fields do: their grey levels are stretched less than those of other pictures; if cells are missed, "
            "set stretch: fully"
        )
    if not listed:
        context.message(
            f"no cell was found; if probability/ shows cells, set threshold lower than {params.threshold:g}"
        )
    finished.spent()


def find(
    forward: Forward, network: NetworkSpec, image: np.ndarray, weakest: Sequence[float] | None, params: Params
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the cells of a picture.

    Args:
      forward: the compiled forward pass of the network.
      image: (y, x) or (y, x, 3): uint8, uint16 or float32.
      weakest: of `unet_ranges.read_ranges`; None stretches all pictures fully.

    Returns:
      Labels, (y, x) int32, 0 = none; and the probability that a pixel is part of a cell, (y, x) float32.
    """
    from floodrunner.segmentation.unet import instances, prediction
    from floodrunner.segmentation.unet.normalisation import normalise

    given = normalise(image, network.channels, weakest)
    found = prediction.picture(forward, network, given, params.tile, params.test_time_augmentation)
    return instances.cells(found, params.threshold, params.min_size), found[..., 0]


class _Given(NamedTuple):
    """A picture to predict: its pixel size in nm, its true cells if they are known, whether the overview shows it."""

    name: str
    image: np.ndarray
    size: tuple[float, float] | None
    truth: np.ndarray | None
    draw: bool


def _sized(pictures: Iterator[_Given], params: Params, context: Context) -> Iterator[_Given]:
    """Replaces the pixel sizes of pictures by that of the parameters, if it is given; says so if they differ."""
    import numpy as np

    from floodrunner.stages.storage.words import some

    given, other = params.pixel_size_xy, []
    unknown: list[str] = []
    known = 0
    for picture in pictures:
        known += picture.size is not None
        unknown += [] if picture.size else [picture.name]
        if given and picture.size and not np.allclose(given, picture.size, rtol=0.01):
            other.append(picture.name)
        yield picture._replace(size=given or picture.size)
    if known and unknown and not given:
        context.message(
            f"{len(unknown)} of {known + len(unknown)} pictures give no pixel size ({some(unknown)}): their columns in "
            "µm are empty; to give all the same size, set pixel_size_xy"
        )
    if given and other:
        context.message(
            f"pixel_size_xy is set to {given[0]:g} x {given[1]:g} nm, which is used, but {len(other)} of the pictures "
            f"give another size: {some(other)}; to use the sizes in the files, leave pixel_size_xy out"
        )


def _images(context: Context) -> Iterator[_Given]:
    """Yields the pictures; reports progress. A set is read at once, a folder picture by picture."""
    from floodrunner.stages.readers.pairs import channels_of
    from floodrunner.stages.readers.pictures import image_of, open_pictures, remarks
    from floodrunner.stages.reports.previews import chosen
    from floodrunner.stages.storage import image_sets

    path = context.inputs["images"]
    if Path(path).suffix == ".h5" and image_sets.is_set(path):
        pictures = image_sets.read_set(path)
        drawn = chosen(len(pictures))
        for done, picture in enumerate(pictures, 1):
            truth = picture.labels if picture.probability is None else None  # else a network has found them
            yield _Given(picture.name, picture.image, picture.pixel_size_xy, truth, done - 1 in drawn)
            context.progress(done, len(pictures), "pictures")
        return
    with open_pictures(path) as sources:
        for line in remarks(sources):
            context.message(line)
        if channels := channels_of(sources):
            context.message(f"{path}: {channels}; each is taken as a picture of its own")
        drawn = chosen(len(sources))
        for done, source in enumerate(sources, 1):
            yield _Given(source.name, image_of(source), source.head().pixel_size_xy, None, done - 1 in drawn)
            context.progress(done, len(sources), "pictures")


def grey(image: np.ndarray) -> np.ndarray:
    """The greys in which cells of a picture, (y, x) or (y, x, 3), are measured."""
    from floodrunner.segmentation.contrast import luminance

    return image if image.ndim == 2 else luminance(image)


def _write_files(picture: Picture, truth: np.ndarray | None, params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.colours import overlay
    from floodrunner.segmentation.contrast import displayed
    from floodrunner.stages.readers import files
    from floodrunner.stages.reports.previews import recoloured_by

    assert picture.labels is not None
    assert picture.probability is not None
    shown = {
        "labels": picture.labels.astype(np.uint16),
        "mask": np.where(picture.labels > 0, 255, 0).astype(np.uint8),
        "probability": np.rint(picture.probability * 255).astype(np.uint8),
        "overlay": overlay(displayed(picture.image), recoloured_by(truth, picture.labels), params.opacity),
    }
    for name in shown:
        (context.output_folder / name).mkdir(exist_ok=True)
    if (count := picture.labels.max()) > _MOST:
        file = context.output_folder / "labels" / f"{picture.name}.tif"
        files.write(file, picture.labels.astype(np.uint32), voxel_size_xyz=picture.pixel_size_xy)
        context.message(f"{picture.name}: {count} cells are too many for a 16-bit PNG; labels/{file.name} has 32 bits")
        del shown["labels"]
    for name, pixels in shown.items():
        files.write(context.output_folder / name / f"{picture.name}.png", pixels, compress_level=3)


def _write_table(listed: list[tuple[str, tuple[float, float] | None, Cell]], context: Context) -> None:
    """Writes a row for each cell; its columns in µm are empty if the size of the picture's pixels is not known."""
    import csv

    from floodrunner.segmentation.unet.instances import Cell, in_um

    with open(context.output_folder / "cells.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", *Cell._fields, *UM_COLUMNS])
        for name, size, cell in listed:
            um = [f"{value:.6g}" for value in in_um(cell, size)] if size else [""] * 3
            rows.writerow([name, *(round(value, 3) for value in cell), *um])
    known = {size is not None for _, size, _ in listed}
    units = (
        "pixels, and µm where the pixel size is known" if True in known else "pixels (in µm if you set pixel_size_xy)"
    )
    title = f"{len(listed)} cells: position, size and brightness of each, in {units}"
    context.artifact(context.output_folder / "cells.csv", title)
