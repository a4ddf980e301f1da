"""A trained U-Net, which finds cells in pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from floodrunner.in_process import checked, load_keras, warn
from floodrunner.reading import Picture, picture_of
from floodrunner.stages import unet_predict
from floodrunner.stages.storage import unet_models, unet_ranges


@dataclass(frozen=True)
class Cells:
    """The cells of a picture.

    Attributes:
      image: the picture, (y, x) or (y, x, 3), as the network was given it.
      labels: (y, x) int32, an id for each cell, 0 = none.
      probability: (y, x) float32: how probably each pixel is part of a cell.
      pixel_size_xy: nm; None if it is not known.
      table: a row for each cell, like `cells.csv` of the stage unet-predict: area, centroid, box, mean_intensity, in
        pixels, and area_um2, centroid_x_um, centroid_y_um, which are None if the pixel size is not known.
    """

    image: np.ndarray
    labels: np.ndarray
    probability: np.ndarray
    pixel_size_xy: tuple[float, float] | None
    table: list[dict[str, Any]]

    @property
    def mask(self) -> np.ndarray:
        """(y, x) bool: the pixels of all cells."""
        return self.labels > 0


class UNet:
    """A U-Net that finds cells. It is compiled when it is first used, so later pictures take less time.

    Attributes:
      folder: where it is.
      architecture, depth, width: of the network.
      channels: 1 for grey, 3 for colours; pictures are converted.
    """

    def __init__(self, folder: Path) -> None:
        """Reads the folder `model` of `unet-train`. Raises InputError if it is damaged."""
        self._network = unet_models.read_head(folder)
        self.folder = folder
        self.architecture, self.channels = self._network.architecture, self._network.channels
        self.depth, self.width = self._network.depth, self._network.width

    def __repr__(self) -> str:
        return f"UNet({str(self.folder)!r}, {self.architecture}, depth {self.depth}, width {self.width})"

    def predict(
        self, picture: np.ndarray | Picture, *, pixel_size_xy: tuple[float, float] | None = None, **params: Any
    ) -> Cells:
        """Finds the cells of a picture: the same as the stage unet-predict.

        Args:
          picture: (y, x) or (y, x, 3), of 8 or 16 bits or floats; or one of `floodrunner.read_pictures`.
          pixel_size_xy: length of a pixel along x and y, nm; by default that of the picture.
          params: parameters of the stage unet-predict, such as `threshold=0.5`, `min_size=20`,
            `test_time_augmentation=True`; see docs/pipeline-reference.md.

        Raises:
          InputError: if the picture, or a parameter, is wrong.
        """
        given = picture_of(picture, "picture")
        if pixel_size_xy is not None:
            params["pixel_size_xy"] = pixel_size_xy
        chosen: unet_predict.Params = checked(unet_predict.Params, params, {})
        size = chosen.pixel_size_xy or given.pixel_size_xy
        weakest = None if chosen.stretch == "fully" else unet_ranges.read_ranges(self.folder, self.channels)
        forward = self._forward  # loads Keras, with the right settings, before the imports below do

        from floodrunner.segmentation.unet.instances import in_um, measure
        from floodrunner.segmentation.unet.normalisation import is_weak

        if weakest and is_weak(given.image, self.channels, weakest):
            warn([f"{given.name}: shows little but noise, as empty fields do; if cells are missed, stretch='fully'"])
        labels, probability = unet_predict.find(forward, self._network, given.image, weakest, chosen)
        table = []
        for cell in measure(labels, unet_predict.grey(given.image)):
            um = in_um(cell, size) if size else (None, None, None)
            table.append({**cell._asdict(), **dict(zip(unet_predict.UM_COLUMNS, um, strict=True))})
        return Cells(given.image, labels, probability, size, table)

    @cached_property
    def _forward(self) -> Callable[[np.ndarray], np.ndarray]:
        load_keras()

        from floodrunner.segmentation import backend
        from floodrunner.segmentation.unet.architectures import architecture_of

        network, model = unet_models.read_model(self.folder)
        return backend.forward(architecture_of(network).folded(network, model))
