"""A small tissue and a small network, for stages that train and segment; a few pictures of cells; HDF5 files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.stages.storage.volumes import Place, write_volume
from tests.stages.pairs import SIZES, cells, image, save

SMALL: dict[str, Any] = {"depth": 2, "features": 4, "fov_xyz": [9, 7, 5], "deltas_xyz": [3, 2, 1]}
PLACE = Place((8.0, 8.0, 30.0))


@pytest.fixture
def tissue(tmp_path: Path) -> dict[str, Path]:
    """Inputs of `ffn-train`: two bright tubes along x, 40 x 32 x 20 voxels."""
    from floodrunner.segmentation.ffn.coordinates import coordinates
    from floodrunner.segmentation.ffn.partitions import partition
    from floodrunner.stages.storage.coordinates import write_coordinates

    labels = np.zeros((20, 32, 40), np.uint32)
    labels[4:16, 4:14] = 1
    labels[4:16, 18:28] = 2
    noise = np.random.default_rng(1).normal(0, 10, labels.shape)
    image = np.clip(np.where(labels > 0, 180, 60) + noise, 0, 255).astype(np.uint8)
    paths = {name: tmp_path / f"{name}.h5" for name in ("image", "labels", "coordinates")}
    write_volume(paths["image"], "image", image, PLACE)
    write_volume(paths["labels"], "labels", labels, PLACE)
    margin = (3, 5, 7)
    table = coordinates(partition(labels, margin, [0.3, 0.6], min_size=10), margin)
    write_coordinates(paths["coordinates"], table, [table.indices])
    paths["statistics"] = tmp_path / "statistics.json"
    paths["statistics"].write_text(json.dumps({"mean": float(image.mean()), "stddev": float(image.std())}))
    return paths


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    """Five pictures of several sizes, `p2` to `p10`, and their ids."""
    for k, shape in enumerate(SIZES):
        save(tmp_path / "images" / f"p{2 * k + 2}.png", image(shape))
        save(tmp_path / "labels" / f"p{2 * k + 2}.png", cells(shape))
    return {"images": tmp_path / "images", "labels": tmp_path / "labels"}


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that neither learn nor find anything, in no time: for tests of what a stage does around them."""
    from floodrunner.segmentation import backend

    def training_step(model: Any, optimizer: Any, loss: Any) -> Any:
        optimizer.build(model.trainable_variables)
        return lambda given, target: (1.0, np.zeros_like(target))

    def forward(model: Any) -> Any:
        return lambda given: np.full((*given.shape[:-1], model.output_shape[-1]), 0.5, np.float32)

    monkeypatch.setattr(backend, "training_step", training_step)
    monkeypatch.setattr(backend, "forward", forward)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file with one dataset and its attributes."""

    def make(data: Any, name: str = "raw", options: dict[str, Any] | None = None, **attributes: Any) -> Path:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as out:
            dataset = out.create_dataset(name, data=data, **(options or {}))
            dataset.attrs.update(attributes)
        return path

    return make


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Collects the normalised pictures that `unet-train` draws its examples from."""
    from floodrunner.segmentation.unet.examples import Examples

    pictures: list[np.ndarray] = []
    fresh = Examples.__init__

    def spy(self: Examples, images: Any, *rest: Any, **named: Any) -> None:
        pictures.extend(images)
        fresh(self, images, *rest, **named)

    monkeypatch.setattr(Examples, "__init__", spy)
    return pictures
