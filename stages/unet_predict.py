"""Find cells with a trained U-Net: probability, mask and numbered cells of each picture, and a table of all cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from stages._contract import Context, InputError, StageParams

if TYPE_CHECKING:
    import numpy as np

    from segmentation.unet.instances import Cell
    from stages._image_sets import Picture

INPUTS = {"images": "image-set|pictures", "model": "unet-model"}
OUTPUTS = {"predicted": "image-set", "labels": "sections"}

_MOST = 2**16 - 1


class Params(StageParams):
    threshold: float = Field(0.5, gt=0, lt=1)
    """Probability above which a pixel is part of a cell."""
    min_size: int = Field(30, ge=1)
    """Smallest cell, pixels; smaller ones are left out."""
    turns: bool = False
    """Predict each picture in 8 reflections and quarter turns, and take the mean: somewhat better, 8 times slower."""
    tile: int = Field(2048, ge=1)
    """Longest side of a tile, pixels, as far as the network can do with it; larger pictures are cut, and take about a
    fifth longer for each pixel. At a width of 16, 2048 takes some 3 GB of memory, 1024 some 1 GB."""
    opacity: float = Field(0.35, ge=0, le=1)
    """Of the colours in the overlays."""


def run(params: Params, context: Context) -> None:
    from segmentation import backend
    from segmentation.unet import instances, prediction
    from segmentation.unet.normalisation import normalise
    from stages import _image_sets, _unet_models

    network, model = _unet_models.read_model(context.inputs["model"])
    forward = backend.forward(model)
    context.message(f"predicting on {backend.device()} ({backend.name()})")
    listed: list[tuple[str, Cell]] = []

    def predicted() -> Iterator[Picture]:
        for name, image in _images(context):
            found = prediction.picture(forward, network, normalise(image, network.channels), params.tile, params.turns)
            labels = instances.cells(found, params.threshold, params.min_size)
            cells = instances.measure(labels, _grey(image))
            if len(cells) > _MOST:
                raise InputError(
                    f"{name}: {len(cells)} cells do not fit the 16 bits of a PNG; raise min_size, or cut the picture "
                    "into parts"
                )
            listed.extend((name, cell) for cell in cells)
            picture = _image_sets.Picture(name, image, labels, found[..., 0])
            _write_pngs(picture, params, context)
            yield picture

    _image_sets.write_set(context.outputs["predicted"], predicted())
    _write_table(listed, context)
    context.metric("cells", len(listed))
    context.artifact(context.output_folder / "overlay", "each picture with its cells in colour")
    if not listed:
        context.message(
            f"no cell was found; look at probability/, and lower threshold, {params.threshold:g}, if it helps"
        )


def _images(context: Context) -> Iterator[tuple[str, np.ndarray]]:
    """Name and image of each picture, one at a time, reporting progress."""
    from pathlib import Path

    from stages import _image_sets
    from stages._pictures import image_of, open_pictures

    path = context.inputs["images"]
    if Path(path).suffix == ".h5" and _image_sets.is_set(path):
        pictures = _image_sets.read_set(path)
        for done, picture in enumerate(pictures, 1):
            yield picture.name, picture.image
            context.progress(done, len(pictures), "pictures")
        return
    with open_pictures(path) as sources:
        for done, source in enumerate(sources, 1):
            yield source.name, image_of(source)
            context.progress(done, len(sources), "pictures")


def _grey(image: np.ndarray) -> np.ndarray:
    from segmentation.contrast import luminance

    return image if image.ndim == 2 else luminance(image)


def _write_pngs(picture: Picture, params: Params, context: Context) -> None:
    import numpy as np
    from PIL import Image

    from segmentation.colours import overlay
    from stages._previews import displayed

    assert picture.labels is not None
    assert picture.probability is not None
    shown = {
        "labels": picture.labels.astype(np.uint16),
        "mask": np.where(picture.labels > 0, 255, 0).astype(np.uint8),
        "probability": np.rint(picture.probability * 255).astype(np.uint8),
        "overlay": overlay(displayed(picture.image), picture.labels, params.opacity),
    }
    for name, pixels in shown.items():
        folder = context.output_folder / name
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{picture.name}.png", compress_level=3)


def _write_table(listed: list[tuple[str, Cell]], context: Context) -> None:
    import csv

    from segmentation.unet.instances import Cell

    with open(context.output_folder / "cells.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", *Cell._fields])
        for name, cell in listed:
            rows.writerow([name, *(round(value, 3) for value in cell)])
    context.artifact(context.output_folder / "cells.csv", f"{len(listed)} cells: where, how large, how bright")
