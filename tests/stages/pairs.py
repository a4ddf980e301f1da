"""Pictures and masks for the tests of `import-pairs`, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.image_sets import Picture, read_set

RNG = np.random.default_rng(5)
SIZES = ((40, 50), (40, 50), (36, 70), (64, 33), (40, 50))


def cells(shape: tuple[int, int], dtype: type = np.uint8) -> np.ndarray:
    """Ids of a few squares, two of which touch."""
    ids = np.zeros(shape, dtype)
    for id_, (y, x) in enumerate(((2, 3), (2, 13), (20, 5), (25, 22)), 1):
        ids[y : y + 10, x : x + 10] = id_
    return ids


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
    else:
        Image.fromarray(array).save(path, quality=80) if path.suffix == ".jpg" else Image.fromarray(array).save(path)


def image(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def rewrite(folder: Path, change: Callable[[np.ndarray], np.ndarray], suffix: str = ".png") -> None:
    for file in sorted(folder.iterdir()):
        array = change(np.asarray(Image.open(file)))
        file.unlink()
        save(file.with_suffix(suffix), array)


def all_of(result: dict[str, Path]) -> dict[str, Picture]:
    return {picture.name: picture for port in ("training", "test") for picture in read_set(result[port])}


def said(result: object) -> list[str]:
    return [event["text"] for event in result.reported("message")]  # type: ignore[attr-defined]


def refusal(run_stage: Callable[..., object], inputs: dict[str, Path], **params: object) -> str:
    with pytest.raises(InputError) as caught:
        run_stage("import-pairs", inputs, **params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def labels_of(pictures: dict[str, Picture]) -> list[np.ndarray]:
    assert all(picture.labels is not None for picture in pictures.values())
    return [pictures[name].labels for name in sorted(pictures, key=lambda name: int(name[1:]))]


def same_cells(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two label arrays differ in the numbers only."""
    pairs = {*zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) and (0, 0) in pairs
