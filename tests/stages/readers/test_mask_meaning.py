"""Masks that mean something else than they seem to: figures show it, and messages say what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import binary_erosion

from tests.stages.pairs import all_of, image, refusal, rewrite, said, save

RunStage = Callable[..., Any]
Y, X = np.mgrid[:64, :64]
PLACES = ((14, 14), (14, 46), (44, 18), (46, 48))
IDS = "the masks hold an id for each cell: "


def ids_of(number: int) -> np.ndarray:
    """Three or four cells apart."""
    ids = np.zeros((64, 64), np.uint8)
    for id_, (y, x) in enumerate(PLACES[: 3 + number % 2], 1):
        ids[np.hypot(Y - y, X - x) < 8 + number % 3] = id_
    return ids


@pytest.fixture
def six(tmp_path: Path) -> dict[str, Path]:
    for number in range(6):
        save(tmp_path / "images" / f"c{number}.png", image((64, 64)))
        save(tmp_path / "labels" / f"c{number}.png", ids_of(number))
    return {"images": tmp_path / "images", "labels": tmp_path / "labels"}


def cells_of(result: Any) -> int:
    return sum(len(np.unique(picture.labels)) - 1 for picture in all_of(result).values())


def test_kinds_of_cells_for_ids(run_stage: RunStage, six: dict[str, Path]) -> None:
    rewrite(six["labels"], lambda ids: np.where(ids == 0, 0, 2 - ids % 2).astype(np.uint8))
    result = run_stage("import-pairs", six)
    assert cells_of(result) == 12
    figures, doubt = said(result)
    assert figures.startswith(IDS + "12 ids in 21 pieces, of ")
    assert doubt == (
        f"{six['labels'] / 'c0.png'}: id 1 has 2 pieces apart, each as large as a cell, and likewise in 5 more "
        "pictures; if the values are kinds of cells, not an id for each cell, set labels_are: classes; if "
        "these are sections of neurites, this is right"
    )
    result = run_stage("import-pairs", six, labels_are="classes")
    assert cells_of(result) == 21
    (line,) = said(result)
    assert line.startswith("cells are the connected pieces (4 neighbours) of each of 2 values (1, 2): 21 cells, of ")


def test_touching_cells_of_two_kinds_stay_two(run_stage: RunStage, six: dict[str, Path]) -> None:
    halves = np.zeros((64, 64), np.uint8)
    halves[20:40, 10:30], halves[20:40, 30:50], halves[50:60, 10:30] = 1, 2, 1
    rewrite(six["labels"], lambda ids: halves)
    assert cells_of(run_stage("import-pairs", six, labels_are="classes")) == 6 * 3


def with_rims(ids: np.ndarray, inside: int = 1, rim: int = 2) -> np.ndarray:
    """The insides of cells and their boundaries, two pixels wide, as two classes."""
    eroded = np.asarray(binary_erosion(ids > 0, iterations=2))
    return np.where(eroded, inside, np.where(ids > 0, rim, 0)).astype(np.uint8)


@pytest.mark.parametrize(("inside", "rim"), [(1, 2), (2, 1), (255, 128)])
def test_a_map_of_insides_and_boundaries_is_refused(
    run_stage: RunStage, six: dict[str, Path], inside: int, rim: int
) -> None:
    """Programs that train on three classes want it; with boundaries set to 0, each cell is a piece."""
    rewrite(six["labels"], lambda ids: with_rims(ids, inside, rim))
    around = f"value {rim} lies around value {inside}"
    assert f"; {around}: if it marks boundaries, set its pixels to 0; set labels_are: classes " in refusal(
        run_stage, six
    )
    result = run_stage("import-pairs", six, labels_are="classes")
    assert cells_of(result) == 42
    assert said(result)[1] == (
        f"{around}, as boundaries of cells do, and each of its pieces is taken as a cell; if it marks boundaries, set "
        "its pixels to 0 in the masks"
    )
    rewrite(six["labels"], lambda mask: np.where(mask == rim, 0, mask).astype(np.uint8))
    result = run_stage("import-pairs", six)
    assert cells_of(result) == 21
    assert len(said(result)) == 1


def test_a_map_of_few_cells_and_boundaries_is_told(run_stage: RunStage, six: dict[str, Path]) -> None:
    """With one cell in each picture, the values may be ids."""
    rewrite(six["labels"], lambda ids: with_rims(ids == 1))
    assert "value 2 lies around value 1, as boundaries of cells do" in said(run_stage("import-pairs", six))[1]


def test_kinds_of_cells_that_touch_are_no_boundaries(run_stage: RunStage, six: dict[str, Path]) -> None:
    halves = np.zeros((64, 64), np.uint8)
    halves[20:40, 10:30], halves[20:40, 30:50] = 1, 2
    halves[24:36, 14:26] = 1
    for turned in (halves, halves.T):
        rewrite(six["labels"], lambda ids, turned=turned: turned)
        assert len(said(run_stage("import-pairs", six, labels_are="classes"))) == 1


def test_black_on_white(run_stage: RunStage, six: dict[str, Path]) -> None:
    rewrite(six["labels"], lambda ids: np.where(ids > 0, 0, 255).astype(np.uint8))
    figures, doubt = said(run_stage("import-pairs", six))
    share = np.mean([ids_of(number) == 0 for number in range(6)])
    assert ": 6 cells, of 3" in figures
    assert figures.endswith(f"they cover {100 * share:.0f} % of the pictures")
    assert doubt == (
        f"cells cover {100 * share:.0f} %, and one touches all borders in 6 of 6 pictures: if they are black on white, "
        "set labels_are: inverted (in Fiji: Edit > Invert)"
    )
    result = run_stage("import-pairs", six, labels_are="inverted")
    assert cells_of(result) == 21
    (line,) = said(result)
    assert line.startswith(
        "cells are the connected pieces (4 neighbours) of pixels that are 0, not 255 in the masks: 21 cells"
    )


def test_black_on_white_after_jpeg(run_stage: RunStage, six: dict[str, Path]) -> None:
    rewrite(six["labels"], lambda ids: np.where(ids > 0, 0, 255).astype(np.uint8), ".jpg")
    assert "if they are black on white" in said(run_stage("import-pairs", six))[1]
    result = run_stage("import-pairs", six, labels_are="inverted")
    assert cells_of(result) == 21
    assert "pixels up to 127" in said(result)[0]


def test_merged_cells_show_in_the_figures(run_stage: RunStage, six: dict[str, Path]) -> None:
    def merged(ids: np.ndarray) -> np.ndarray:
        mask = np.zeros((64, 64), np.uint8)
        mask[10:60, 2:50] = 255
        mask[2:5, 2:5] = mask[2:5, 20:23] = mask[2:5, 40:43] = 255
        return mask

    rewrite(six["labels"], merged)
    (line,) = said(run_stage("import-pairs", six))
    assert ": 24 cells, of 9 pixels in the median and 2400 at most, 267 times the median; they cover 59 %" in line


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 255), (np.uint16, 65535)])
def test_all_bits_for_none(run_stage: RunStage, six: dict[str, Path], dtype: type, value: int) -> None:
    rewrite(six["labels"], lambda ids: np.where(ids == 0, dtype(value), ids.astype(dtype)), ".tif")
    for labels_are in ("auto", "instances"):
        result = run_stage("import-pairs", six, labels_are=labels_are)
        assert cells_of(result) == 21
        none, figures = said(result)
        share = np.mean([ids_of(number) == 0 for number in range(6)])
        assert none == (
            f"value {value} covers {100 * share:.0f} % of the masks and touches all borders: it is taken as none; if "
            "it is a cell, give that cell another value"
        )
        assert figures.startswith(IDS + "21 ids in 21 pieces")


@pytest.mark.parametrize(("dtype", "value"), [(np.uint32, 2**32 - 1), (np.int32, -1), (np.int16, -1), (np.float32, -1)])
def test_values_that_always_mean_none(run_stage: RunStage, six: dict[str, Path], dtype: Any, value: int) -> None:
    """Also as lines between cells that touch, as OpenCV's watershed writes -1."""
    for number in range(6):
        (six["labels"] / f"c{number}.png").unlink()
        ids = ids_of(number).astype(dtype)
        ids[:, 20:23] = value
        tifffile.imwrite(six["labels"] / f"c{number}.tif", ids)
    none, figures = said(run_stage("import-pairs", six))[:2]
    assert none == (
        f"value {value} covers 5 % of the masks, and is taken as none, as programs write it where there is no label"
    )
    assert figures.startswith(IDS + "21 ids in ")


def test_64_bits_with_all_set_for_none(run_stage: RunStage, six: dict[str, Path]) -> None:
    h5py = pytest.importorskip("h5py")
    stack = np.stack([ids_of(number) for number in range(6)]).astype(np.uint64)
    tifffile.imwrite(six["images"].parent / "images.tif", image(stack.shape), photometric="minisblack")
    with h5py.File(six["images"].parent / "ids.h5", "w") as file:
        file["labels"] = np.where(stack == 0, np.uint64(2**64 - 1), stack)
    inputs = {"images": six["images"].parent / "images.tif", "labels": six["images"].parent / "ids.h5"}
    assert cells_of(run_stage("import-pairs", inputs)) == 21


def outlined(ids: np.ndarray) -> np.ndarray:
    edge = np.zeros(ids.shape, bool)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        edge |= np.roll(ids, step, axis) != ids
    return np.where(edge, 255, ids).astype(np.uint8)


def test_lines_of_255_around_cells_are_none(run_stage: RunStage, six: dict[str, Path]) -> None:
    """As in PASCAL VOC."""
    rewrite(six["labels"], outlined)
    result = run_stage("import-pairs", six)
    assert cells_of(result) == 21
    assert "of the masks and forms lines around cells: it is taken as none" in said(result)[0]


def test_one_kind_of_cells_and_lines_of_255(run_stage: RunStage, six: dict[str, Path]) -> None:
    """What is left is binary."""
    rewrite(six["labels"], lambda ids: outlined((ids > 0).astype(np.uint8)))
    result = run_stage("import-pairs", six)
    assert cells_of(result) == 21
    assert said(result)[1].startswith("cells are the connected pieces")


def test_an_id_around_all_others(run_stage: RunStage, six: dict[str, Path]) -> None:
    rewrite(six["labels"], lambda ids: ids + 1)
    result = run_stage("import-pairs", six)
    assert cells_of(result) == 21
    assert "value 1 covers" in said(result)[0]
    save(six["labels"] / "c0.png", ids_of(0))  # 0 is none here, so 1 may be a cell elsewhere
    assert (
        "if that is the surroundings of the cells, set it to 0 in the masks" in said(run_stage("import-pairs", six))[1]
    )


@pytest.mark.parametrize(
    ("dtype", "factor"), [(np.float32, 1), (np.float64, 1), (np.float32, 255), (np.int16, 1), (np.int32, 300)]
)
def test_whole_numbers_of_any_type(run_stage: RunStage, six: dict[str, Path], dtype: type, factor: int) -> None:
    for number in range(6):
        (six["labels"] / f"c{number}.png").unlink()
        tifffile.imwrite(six["labels"] / f"c{number}.tif", ids_of(number).astype(dtype) * factor)
    assert cells_of(run_stage("import-pairs", six)) == 21


def test_a_file_that_holds_several_cells(run_stage: RunStage, six: dict[str, Path], tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "kinds" / f"c{number}" / "round.png", np.where(ids_of(number), 255, 0).astype(np.uint8))
    result = run_stage("import-pairs", {"images": six["images"], "labels": tmp_path / "kinds"})
    figures, doubt = said(result)
    assert figures.startswith("each cell has a mask file of its own: 6 ids in 21 pieces")
    assert doubt.startswith("c0: file 1 of it has 3 pieces apart, each as large as a cell, and likewise in 5 more")


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["dsb2018", "isbi2012"])
def test_real_masks_raise_no_doubt_and_black_on_white_does(
    run_stage: RunStage, shared: Path, tmp_path: Path, name: str
) -> None:
    for what in ("images", "labels"):
        for file in sorted((shared / name / what).iterdir())[:12]:
            save(tmp_path / what / file.name, np.asarray(Image.open(file)))
    inputs = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    assert len(said(run_stage("import-pairs", inputs))) == 1
    rewrite(tmp_path / "labels", lambda ids: np.where(ids > 0, 0, 255).astype(np.uint8))
    assert "if they are black on white" in said(run_stage("import-pairs", inputs))[1]
