"""Stacks of labels for the tests of `import-labels`, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from floodrunner.contract.stage import InputError


def folder(path: Path, sections: np.ndarray, name: str = "z{:04d}.png", first: int = 0) -> Path:
    path.mkdir()
    for z, section in enumerate(sections, first):
        Image.fromarray(section).save(path / name.format(z))
    return path


def hdf5(path: Path, array: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["labels"] = array
    return path


def said(result: object) -> list[str]:
    return [event["text"] for event in result.reported("message")]  # type: ignore[attr-defined]


def refusal(run_stage: Callable[..., object], inputs: dict[str, Path], **params: object) -> str:
    with pytest.raises(InputError) as caught:
        run_stage("import-labels", inputs, **params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cells(sections: int, seed: int, side: int = 64, step: float = 2) -> np.ndarray:
    """Voronoi cells, about 12 pixels wide, whose seeds drift from section to section: (z, y, x)."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, side, ((side // 12) ** 2, 2))
    grid = np.moveaxis(np.mgrid[:side, :side], 0, -1)[:, :, None]
    volume = []
    for _ in range(sections):
        at = at + rng.normal(0, step, at.shape)
        volume.append(np.argmin(((grid - at) ** 2).sum(-1), axis=-1) + 1)
    return np.array(volume)
