"""Find cells with a trained U-Net: probability, mask and numbered cells of each picture, and a table of all cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from floodrunner.contract.stage import Context, StageParams

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.segmentation.unet.instances import Cell
    from floodrunner.stages.storage.image_sets import Picture

INPUTS = {"images": "image-set|pictures", "model": "unet-model"}
OUTPUTS = {"predicted": "image-set", "labels": "sections"}

_MOST = 2**16 - 1  # largest number of cells that 16-bit ids can distinguish


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
    opacity: float = Field(0.35, ge=0, le=1)
    """Opacity of the colours in the overlays."""


def run(params: Params, context: Context) -> None:
    from floodrunner.segmentation import backend
    from floodrunner.segmentation.unet import instances, prediction
    from floodrunner.segmentation.unet.architectures import architecture_of
    from floodrunner.segmentation.unet.normalisation import is_weak, normalise
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
        "params": params.model_dump(mode="json", exclude={"opacity"}),  # overlays are always drawn again
        "network": list(network),
        "weights": state.fingerprint(*model.get_weights()),
        "weakest": weakest,
    }
    noise: list[str] = []
    finished = Finished(identity, context)
    listed: list[tuple[str, Cell]] = []

    def forward(given: np.ndarray) -> np.ndarray:
        context.stop_point(lambda: None)  # nothing to save: finished pictures are already on disk
        return compiled(given)

    def predicted() -> Iterator[Picture]:
        for name, image in _images(context):
            if weakest and is_weak(image, network.channels, weakest):
                noise.append(name)
            picture = finished.load(name, image)
            if picture is None:
                given = normalise(image, network.channels, weakest)
                found = prediction.picture(forward, network, given, params.tile, params.test_time_augmentation)
                labels = instances.cells(found, params.threshold, params.min_size)
                picture = image_sets.Picture(name, image, labels, found[..., 0])
                finished.save(picture)
            assert picture.labels is not None
            listed.extend((name, cell) for cell in instances.measure(picture.labels, _grey(image)))
            _write_files(picture, params, context)
            yield picture

    with context.saves_on_stop():
        image_sets.write_set(context.outputs["predicted"], predicted())
    _write_table(listed, context)
    context.metric("cells", len(listed))
    context.artifact(context.output_folder / "overlay", "each picture with its cells in colour")
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


def _images(context: Context) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and image of each picture; reports progress. A set is read at once, a folder picture by picture."""
    from floodrunner.stages.readers.pairs import channels_of
    from floodrunner.stages.readers.pictures import image_of, open_pictures, remarks
    from floodrunner.stages.storage import image_sets

    path = context.inputs["images"]
    if Path(path).suffix == ".h5" and image_sets.is_set(path):
        pictures = image_sets.read_set(path)
        for done, picture in enumerate(pictures, 1):
            yield picture.name, picture.image
            context.progress(done, len(pictures), "pictures")
        return
    with open_pictures(path) as sources:
        for line in remarks(sources):
            context.message(line)
        if channels := channels_of(sources):
            context.message(f"{path}: {channels}; each is taken as a picture of its own")
        for done, source in enumerate(sources, 1):
            yield source.name, image_of(source)
            context.progress(done, len(sources), "pictures")


def _grey(image: np.ndarray) -> np.ndarray:
    from floodrunner.segmentation.contrast import luminance

    return image if image.ndim == 2 else luminance(image)


def _write_files(picture: Picture, params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.colours import overlay
    from floodrunner.segmentation.contrast import displayed
    from floodrunner.stages.readers import files

    assert picture.labels is not None
    assert picture.probability is not None
    shown = {
        "labels": picture.labels.astype(np.uint16),
        "mask": np.where(picture.labels > 0, 255, 0).astype(np.uint8),
        "probability": np.rint(picture.probability * 255).astype(np.uint8),
        "overlay": overlay(displayed(picture.image), picture.labels, params.opacity),
    }
    for name in shown:
        (context.output_folder / name).mkdir(exist_ok=True)
    if (count := picture.labels.max()) > _MOST:
        file = context.output_folder / "labels" / f"{picture.name}.tif"
        files.write(file, picture.labels.astype(np.uint32))
        context.message(f"{picture.name}: {count} cells are too many for a 16-bit PNG; labels/{file.name} has 32 bits")
        del shown["labels"]
    for name, pixels in shown.items():
        files.write(context.output_folder / name / f"{picture.name}.png", pixels, compress_level=3)


def _write_table(listed: list[tuple[str, Cell]], context: Context) -> None:
    import csv

    from floodrunner.segmentation.unet.instances import Cell

    with open(context.output_folder / "cells.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", *Cell._fields])
        for name, cell in listed:
            rows.writerow([name, *(round(value, 3) for value in cell)])
    context.artifact(context.output_folder / "cells.csv", f"{len(listed)} cells: position, size and brightness of each")
