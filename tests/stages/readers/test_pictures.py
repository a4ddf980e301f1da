"""Folders of pictures: advice for all files that have the same problem, and for files of other kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.stages.readers.pictures import bare_name
from tests.stages.pairs import cells, image, refusal, save

RunStage = Callable[..., Any]
SHAPE = (40, 50)


@pytest.fixture
def four(tmp_path: Path) -> dict[str, Path]:
    for number in range(4):
        save(tmp_path / "images" / f"c{number}.png", image(SHAPE))
        save(tmp_path / "labels" / f"c{number}.png", cells(SHAPE))
    return {"images": tmp_path / "images", "labels": tmp_path / "labels"}


def replace(folder: Path, write: Callable[[Path], None]) -> None:
    for file in sorted(folder.iterdir()):
        file.unlink()
        write(file.with_suffix(".tif"))


def test_one_message_for_all_pictures_of_a_kind(run_stage: RunStage, four: dict[str, Path]) -> None:
    replace(four["images"], lambda file: tifffile.imwrite(file, np.zeros(SHAPE, np.float64)))
    assert refusal(run_stage, four) == (
        f"{four['images']}: c0.tif is 64-bit float grey; save it as 8- or 16-bit grey or RGB (the same for all 4 files)"
    )


def test_one_message_for_all_masks_of_a_kind(run_stage: RunStage, four: dict[str, Path]) -> None:
    for file in sorted(four["labels"].iterdir()):
        Image.open(file).convert("P").save(file)
    text = refusal(run_stage, four)
    assert text.startswith(f"{four['labels']}: c0.png is 8-bit palette, which may mean ids or colours; save them")
    assert text.endswith("(the same for all 4 files)")


def test_channels_are_told_for_all(run_stage: RunStage, four: dict[str, Path]) -> None:
    """Composites of ImageJ with two channels."""
    both = np.stack([image(SHAPE), image(SHAPE)])
    replace(four["images"], lambda file: tifffile.imwrite(file, both, imagej=True, metadata={"axes": "CYX"}))
    text = refusal(run_stage, four)
    assert text.startswith(f"{four['images']}: c0.tif ")
    assert text.endswith("(the same for all 4 files)")


@pytest.mark.parametrize(
    ("names", "what", "words"),
    [
        (["c0_seg.npy", "c1_seg.npy"], "2 of 6 files", "in Cellpose, File > Save masks as PNG/tif"),
        (["c0.zip"], "c0.zip in", "if these are outlines of cells, make masks of them"),
        (["c0.roi", "c1.roi", "c2.roi"], "3 of 7 files", "ROI Manager"),
        (
            ["c0.geojson", "c1.geojson", "notes.doc"],
            "3 of 7 files",
            "pictures, 2 of them .geojson: c0.geojson, c1.geojson (if",
        ),
        (["c9.CZI"], "c9.CZI in", "files of a microscope"),
        (["c0.dm3", "c1.dm3"], "2 of 6 files", "files of a microscope"),
        (["c0.pgm"], "c0.pgm in", "save them as PNG"),
        (["c9.bmp"], "c9.bmp in", "save them as PNG"),
        (["README"], "README in", "is not a PNG, TIFF or JPEG picture; move it out"),
    ],
)
@pytest.mark.parametrize("folder", ["images", "labels"])
def test_what_to_export_in_place_of_other_files(
    run_stage: RunStage, four: dict[str, Path], folder: str, names: list[str], what: str, words: str
) -> None:
    for name in names:
        (four[folder] / name).touch()
    text = refusal(run_stage, four)
    assert what in text
    assert words in text
    assert str(four[folder]) in text


def test_a_folder_of_bitmaps(run_stage: RunStage, four: dict[str, Path]) -> None:
    for file in four["images"].iterdir():
        file.rename(file.with_suffix(".bmp"))
    assert refusal(run_stage, four) == (
        f"{four['images']}: all 4 files are not PNG, TIFF or JPEG pictures: c0.bmp, c1.bmp, c2.bmp, ... (images of "
        "another format; save them as PNG; in Fiji: Process > Batch > Convert); give PNG or TIFF files"
    )


def test_only_outlines_in_place_of_masks(run_stage: RunStage, four: dict[str, Path]) -> None:
    for file in four["labels"].iterdir():
        file.rename(file.with_suffix(".json"))
    assert "export them as masks: an image for each picture, with an id for each cell" in refusal(run_stage, four)


@pytest.mark.parametrize(
    ("file", "name"),
    [("a.tif", "a"), ("a.ome.tif", "a"), ("ome.ome.TIF", "ome"), (".ome.tif", ".ome"), ("a.b.png", "a.b")],
)
def test_names_have_no_suffix_and_no_ome(file: str, name: str) -> None:
    assert bare_name(Path(file)) == name
