"""Masks that do not lie on their pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.stages.pairs import all_of, refusal, rewrite, said, save

RunStage = Callable[..., Any]

WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored left to right": lambda ids: ids[:, ::-1],
    "mirrored top to bottom": lambda ids: ids[::-1],
    "turned by 180 degrees": lambda ids: ids[::-1, ::-1],
    "transposed (x and y swapped)": lambda ids: ids.T,
    "turned by 90 degrees to the right": lambda ids: np.rot90(ids),
}


def discs(seed: int, shape: tuple[int, int] = (128, 128), dark: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y, x = np.indices(shape)
    ids = np.zeros(shape, np.uint8)
    for id_ in range(1, 9):
        cy, cx, radius = generator.uniform(0, shape[0]), generator.uniform(0, shape[1]), generator.uniform(4, 9)
        ids[np.hypot(y - cy, x - cx) < radius] = id_
    greys = generator.normal(60, 12, shape) + (-1 if dark else 1) * 40 * (ids > 0)
    return np.clip(greys, 0, 255).astype(np.uint8), ids


@pytest.fixture
def five(tmp_path: Path) -> dict[str, Path]:
    """Bright cells and dark ones, grey pictures and RGB; one picture is empty."""
    for number in range(5):
        grey, ids = discs(number, dark=number % 2 == 0)
        save(tmp_path / "images" / f"c{number}.png", np.stack([grey] * 3, -1))
        save(tmp_path / "labels" / f"c{number}.png", ids)
    save(tmp_path / "images" / "empty.png", np.full((128, 128), 60, np.uint8))
    save(tmp_path / "labels" / "empty.png", np.zeros((128, 128), np.uint8))
    return {"images": tmp_path / "images", "labels": tmp_path / "labels"}


def test_masks_that_lie_on_their_pictures_raise_no_doubt(run_stage: RunStage, five: dict[str, Path]) -> None:
    assert not [text for text in said(run_stage("import-pairs", five)) if "lie on" in text or "follow" in text]


@pytest.mark.parametrize("how", WAYS)
def test_turned_masks_are_refused(run_stage: RunStage, five: dict[str, Path], how: str) -> None:
    rewrite(five["labels"], lambda ids: np.ascontiguousarray(WAYS[how](ids)))
    text = refusal(run_stage, five)
    assert f"labels: 5 of 5 masks (c0, c1, c2, ...) do not lie on their pictures, but fit when {how} (contrast " in text
    assert text.endswith("or set check_order: false if the masks are right")
    assert len(all_of(run_stage("import-pairs", five, check_order=False))) == 6


def test_pictures_in_colours_are_compared(run_stage: RunStage, five: dict[str, Path]) -> None:
    rewrite(five["images"], lambda p: np.atleast_3d(p)[..., :1] * np.array([1, 0, 0], np.uint8))
    rewrite(five["labels"], lambda ids: np.ascontiguousarray(ids[::-1]))
    assert "fit when mirrored top to bottom" in refusal(run_stage, five)


def test_some_turned_masks_of_many_are_named(run_stage: RunStage, five: dict[str, Path]) -> None:
    """As where a camera has stored an orientation for some pictures only."""
    for name in ("c1", "c3"):
        file = five["labels"] / f"{name}.png"
        save(file, np.ascontiguousarray(np.asarray(Image.open(file))[:, ::-1]))
    assert "2 of 5 masks (c1, c3) do not lie on their pictures" in refusal(run_stage, five)
    save(five["labels"] / "c3.png", discs(3)[1])
    (text,) = [text for text in said(run_stage("import-pairs", five)) if "lie on" in text]
    assert "1 of 5 masks (c1) does not lie on its picture, but fit when mirrored left to right" in text
    assert text.endswith("; check this mask")


def test_pictures_that_a_camera_has_turned(run_stage: RunStage, five: dict[str, Path]) -> None:
    """They are read as viewers show them; the masks were drawn in a program that shows the pixels as stored."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn to the right
    for file in sorted(five["images"].iterdir()):
        Image.open(file).convert("L").save(file.with_suffix(".jpg"), quality=95, exif=exif)
        file.unlink()
    assert (
        "5 of 5 masks (c0, c1, c2, ...) do not lie on their pictures, but fit when turned by 90 degrees to the right"
        in (refusal(run_stage, five))
    )
    rewrite(five["labels"], lambda ids: np.ascontiguousarray(np.rot90(ids, -1)))
    assert any("orientation" in text for text in said(run_stage("import-pairs", five)))


def test_masks_of_other_pictures_are_told(run_stage: RunStage, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "images" / f"c{number}.png", discs(number, (512, 512))[0])
        rows = np.kron(np.arange(1, 33).reshape(4, 8), np.ones((128, 64))) * (np.indices((512, 512)).sum(0) % 64 > 9)
        save(tmp_path / "labels" / f"c{number}.png", rows.astype(np.uint8))
    inputs = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    (text,) = [text for text in said(run_stage("import-pairs", inputs, labels_are="instances")) if "follow" in text]
    assert text.startswith(f"{inputs['labels']}: 4 of 4 masks (c0, c1, c2, ...) do not follow what their pictures show")


def test_a_mask_with_swapped_sides(run_stage: RunStage, tmp_path: Path) -> None:
    for number in range(3):
        picture, ids = discs(number, (90, 120))
        save(tmp_path / "images" / f"c{number}.png", picture)
        save(tmp_path / "labels" / f"c{number}.png", np.ascontiguousarray(ids.T))
    assert refusal(run_stage, {"images": tmp_path / "images", "labels": tmp_path / "labels"}) == (
        f"{tmp_path / 'labels' / 'c0.png'}: is 90 x 120 pixels, but its picture {tmp_path / 'images' / 'c0.png'} is "
        "120 x 90; turn one of them by 90 degrees"
    )


@pytest.mark.real_data
def test_real_masks_lie_on_their_pictures_and_mirrored_ones_do_not(
    run_stage: RunStage, shared: Path, tmp_path: Path
) -> None:
    for what in ("images", "labels"):
        for file in sorted((shared / "dsb2018" / what).iterdir())[:20]:
            save(tmp_path / what / file.name, np.asarray(Image.open(file)))
    inputs = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    assert not [text for text in said(run_stage("import-pairs", inputs)) if "lie on" in text or "follow" in text]
    rewrite(inputs["labels"], lambda ids: np.ascontiguousarray(ids[:, ::-1]))
    assert "20 of 20 masks" in refusal(run_stage, inputs)
