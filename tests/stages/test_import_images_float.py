"""Stacks of floating-point greys: probability maps, normalised micrographs, padding that is NaN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from pydantic import ValidationError

from floodrunner.stages import import_images
from floodrunner.stages.storage.volumes import read_volume
from tests.stages.test_import_images import refusal, said

RNG = np.random.default_rng(3)
TISSUE = np.clip(RNG.normal(0.5, 0.1, (6, 40, 50)), 0, 1)


@pytest.fixture(params=[np.float16, np.float32, np.float64, ">f4", "TIFF"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A file of greys from 0 to 1, and these greys."""
    if request.param == "TIFF":
        tifffile.imwrite(tmp_path / "a.tif", TISSUE.astype(np.float32), photometric="minisblack")
        return tmp_path / "a.tif", TISSUE.astype(np.float32).astype(float)
    return hdf5(tmp_path, TISSUE.astype(request.param)), TISSUE.astype(request.param).astype(float)


def hdf5(folder: Path, greys: np.ndarray) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["raw"] = greys
    return folder / "a.h5"


def mapped(greys: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((np.clip(greys, low, high) - low) / (high - low) * 255)


def test_it_is_refused_with_the_way_to_ask(stack: tuple[Path, np.ndarray], run_stage: Any) -> None:
    assert refusal(run_stage, stack[0]).endswith(
        "-bit float grey, not 8-bit; to convert them add convert_float: percentiles (or the greys of black and white, "
        "such as [0, 1]) to the params of this step, or --set this-step.convert_float=percentiles"
    )


def test_percentiles_of_the_whole_stack(stack: tuple[Path, np.ndarray], run_stage: Any) -> None:
    file, greys = stack
    result = run_stage("import-images", {"stack": file}, convert_float="percentiles")
    low, high = np.percentile(greys, [0.1, 99.9], method="inverted_cdf")
    volume, _ = read_volume(result["volume"])
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume, mapped(greys, low, high))
    assert said(result)[-1] == (
        f"float greys from {low:g} to {high:g} are mapped to 0 to 255; all are between {greys.min():g} and "
        f"{greys.max():g}"
    )
    last = result.reported("progress")[-1]
    assert (last["done"], last["total"]) == (12, 12)  # two passes


def test_a_range_is_used_as_it_is_and_what_lies_outside_is_counted(tmp_path: Path, run_stage: Any) -> None:
    greys = RNG.normal(0, 1, (6, 40, 50))
    result = run_stage("import-images", {"stack": hdf5(tmp_path, greys)}, convert_float=[-2, 3])
    np.testing.assert_array_equal(read_volume(result["volume"])[0], mapped(greys, -2, 3))
    below, above = 100 * (greys < -2).mean(), 100 * (greys > 3).mean()
    assert f"mapped to 0 to 255; {below:.2g} % of the greys are below and {above:.2g} % above; all" in said(result)[-1]


@pytest.mark.parametrize("wrong", [[0, 255], [5, 6], [-300, 0.2], [0.49, 40]])
def test_greys_from_0_to_1_never_become_all_black(tmp_path: Path, run_stage: Any, wrong: list[float]) -> None:
    file = hdf5(tmp_path, TISSUE)
    assert refusal(run_stage, file, convert_float=wrong).startswith(
        f"{file}: convert_float {[float(grey) for grey in wrong]} would leave nearly no contrast: 99.8 % of the greys "
        "are between 0."
    )
    run_stage("import-images", {"stack": file}, convert_float=[0, 4])  # dark, but there


@pytest.mark.parametrize("clahe", [False, True])
def test_nan_and_infinite_greys_are_named_and_black(tmp_path: Path, run_stage: Any, clahe: bool) -> None:
    greys = TISSUE - 0.5  # black is not 0
    expected = mapped(greys, -0.25, 0.25)
    greys[1, :, -10:], greys[2, 3, 4], greys[2, 3, 5], greys[4] = np.nan, np.inf, -np.inf, np.nan
    expected[1, :, -10:], expected[2, 3, 4:6], expected[4] = 0, 0, 0
    result = run_stage("import-images", {"stack": hdf5(tmp_path, greys)}, convert_float=[-0.25, 0.25], clahe=clahe)
    volume, _ = read_volume(result["volume"])
    assert not volume[expected == 0].any() or clahe
    assert not volume[1, :, -10:].any()
    assert not volume[4].any()
    if not clahe:
        np.testing.assert_array_equal(volume, expected)
    told = said(result)
    assert (
        "2,402 pixels in 3 of 6 sections are NaN or infinite (section 1, section 2, section 4); they become 0 (black)"
        in told
    )
    assert "1 of 6 sections is blank (all 0): section 4" in told
    assert told[-1].startswith("1 of 6 sections has a black border (0 from the edge inwards, ")


@pytest.mark.parametrize(
    ("greys", "words"),
    [
        (np.full((2, 9, 9), np.nan), "all greys are 0, NaN or infinite; check the sections"),
        (np.full((2, 9, 9), 0.25), "all greys are 0.25; check the sections"),
        (
            np.where(np.arange(2 * 99 * 99).reshape(2, 99, 99) < 1, 1.0, 0.25),
            "nearly all greys are 0.25 (all are between 0.25 and 1), so that percentiles leave no contrast; write "
            "convert_float: [0.25, 1]",
        ),
    ],
)
def test_no_contrast_is_refused(tmp_path: Path, run_stage: Any, greys: np.ndarray, words: str) -> None:
    file = hdf5(tmp_path, greys)
    assert refusal(run_stage, file, convert_float="percentiles") == f"{file}: {words}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1, 0], "1 is not less than 0; write"),
        ([0, float("nan")], "finite number"),
        ([0], "Field required"),
        ("full_range", "'refuse' or 'percentiles'"),
    ],
)
def test_what_is_no_range_is_refused(given: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        import_images.Params.parse({"convert_float": given})


def test_a_range_that_loses_many_greys_is_told(tmp_path: Path, run_stage: Any) -> None:
    file = hdf5(tmp_path, RNG.normal(0, 1, (6, 40, 50)))
    lines = said(run_stage("import-images", {"stack": file}, convert_float=[0, 1]))
    assert any("% become black and " in line for line in lines)
