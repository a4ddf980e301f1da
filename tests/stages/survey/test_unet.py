"""What a survey finds in pictures and their masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stages.survey.plans import problems, remarks, sections, surveyed


@pytest.fixture
def cells(tmp_path: Path) -> tuple[Path, Path]:
    return sections(tmp_path / "images", 6, side=70), sections(tmp_path / "masks", 6, side=70)


def test_what_fits_has_no_problem(cells: tuple[Path, Path]) -> None:
    images, masks = cells
    report = surveyed("unet", images=images, labels=masks)
    assert report.problems == []
    assert list(report.costs) == ["pairs", "train", "find", "score"]
    assert remarks(report, "pairs") == [f"{images}: 6 pictures, 70 x 70 pixels, 8-bit grey"]
    find, train = report.costs["find"].work, report.costs["train"].work
    assert find is not None
    assert train is not None
    assert find.least == pytest.approx(70 * 70 / 1e6)  # one test picture
    assert find.unit == "megapixels, 8 predictions each"
    assert train.may_end_early


def test_masks_that_are_missing_or_of_another_size(cells: tuple[Path, Path]) -> None:
    images, masks = cells
    (masks / "z001.png").unlink()
    assert problems(surveyed("unet", images=images, labels=masks)) == [
        f"pairs: no mask for z001 (1 of 6 pictures in {images})"
    ]
    sections(masks.with_name("whole"), 6, side=70)
    for name in ("z002.png", "z004.png"):
        Image.fromarray(np.zeros((60, 70), np.uint8)).save(masks.with_name("whole") / name)
    found = problems(surveyed("unet", images=images, labels=masks.with_name("whole")))
    assert [each.partition(", but")[0] for each in found] == ["pairs: is 70 x 60 pixels"] * 2


def test_a_folder_that_is_both(cells: tuple[Path, Path]) -> None:
    images, _ = cells
    assert problems(surveyed("unet", images=images, labels=images)) == ["pairs: images and labels are the same"]


def test_pictures_of_an_unknown_format_in_both_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.bmp").write_bytes(b"x")
    report = surveyed("unet", images=tmp_path / "a", labels=tmp_path / "b")
    assert [each.step for each in report.problems] == ["pairs", "pairs"]


@pytest.mark.parametrize("pipeline", ["quickstart", "unet-quickstart"])
def test_made_up_tissue_needs_no_input(pipeline: str) -> None:
    report = surveyed(pipeline)
    assert report.problems == []
    assert len(report.costs) >= 4
