from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.statistics import read_statistics
from floodrunner.stages.storage.volumes import Place, write_volume


def test_figures_and_file(tmp_path: Path, run_stage) -> None:
    volume = np.random.default_rng(1).integers(0, 256, (40, 30, 20), np.uint8)
    write_volume(tmp_path / "image.h5", "image", volume, Place())
    result = run_stage("statistics", {"volume": tmp_path / "image.h5"})
    found = json.loads(result["json"].read_text())
    assert found == {
        "mean": pytest.approx(volume.mean(dtype=np.float64), abs=1e-12),
        "stddev": pytest.approx(volume.std(dtype=np.float64), abs=1e-12),
        "minimum": volume.min(),
        "maximum": volume.max(),
        "voxels": volume.size,
    }
    assert [(event["name"], event["value"]) for event in result.reported("metric")] == [
        ("mean", found["mean"]),
        ("stddev", found["stddev"]),
    ]
    assert result.reported("progress")[-1]["done"] == 40


def test_blank_sections_are_left_out_and_told(tmp_path: Path, run_stage) -> None:
    volume = np.random.default_rng(1).integers(1, 255, (40, 30, 20), np.uint8)
    volume[[12, 31]] = 0
    write_volume(tmp_path / "image.h5", "image", volume, Place())
    result = run_stage("statistics", {"volume": tmp_path / "image.h5"})
    found = json.loads(result["json"].read_text())
    tissue = np.delete(volume, [12, 31], axis=0)
    assert (found["mean"], found["stddev"]) == pytest.approx((tissue.mean(), tissue.std()))
    assert (found["whole"]["mean"], found["whole"]["stddev"]) == pytest.approx((volume.mean(), volume.std()))
    assert [event["text"] for event in result.reported("message")] == [
        f"mean and stddev are those of the tissue, {tissue.mean():.4g} and {tissue.std():.4g}; with 2 blank sections "
        f"(section 12, section 31) they would be {volume.mean():.4g} and {volume.std():.4g}",
    ]
    assert read_statistics(result["json"]) == (found["mean"], found["stddev"])


def test_what_is_left_out_is_told_in_one_line(tmp_path: Path, run_stage) -> None:
    volume = np.random.default_rng(1).integers(1, 255, (12, 30, 20), np.uint8)
    volume[3], volume[5, 10:], volume[[0, 1, 6, 8], :, :7] = 0, 255, 0
    write_volume(tmp_path / "image.h5", "image", volume, Place())
    (said,) = run_stage("statistics", {"volume": tmp_path / "image.h5"}).reported("message")
    left = (
        "with 1 blank section (section 3), 1 saturated section (section 5) and 4 sections with black borders "
        "(section 0, section 1, section 6, ...) they would be"
    )
    assert left in said["text"]


def test_nan_is_refused(tmp_path: Path, run_stage) -> None:
    volume = np.ones((20, 4, 5), np.float32)
    volume[17, 2, 3], volume[18, 0, 0] = np.nan, np.inf
    write_volume(tmp_path / "image.h5", "image", volume, Place())
    with pytest.raises(InputError) as caught:
        run_stage("statistics", {"volume": tmp_path / "image.h5"})
    assert str(caught.value) == (
        f"{tmp_path / 'image.h5'}: 2 voxels are NaN or infinite; make the volume again without them"
    )


def test_what_is_no_grey_is_refused(tmp_path: Path, run_stage) -> None:
    with h5py.File(tmp_path / "image.h5", "w") as file:
        file["raw"] = np.zeros((2, 3, 4), bool)
    with pytest.raises(InputError) as caught:
        run_stage("statistics", {"volume": tmp_path / "image.h5"})
    assert str(caught.value) == (
        f"{tmp_path / 'image.h5'}: dataset /raw is bool, not grey values; import the images again"
    )


@pytest.mark.real_data
def test_figures_of_real_sections(shared: Path, tmp_path: Path, run_stage) -> None:
    files = sorted((shared / "snemi3d" / "images").iterdir())
    volume = np.stack([np.asarray(Image.open(file)) for file in files])
    assert volume.shape == (70, 512, 512)
    write_volume(tmp_path / "image.h5", "image", volume, Place())
    found = json.loads(run_stage("statistics", {"volume": tmp_path / "image.h5"})["json"].read_text())
    assert abs(found["mean"] - volume.mean(dtype=np.float64)) < 1e-6
    assert abs(found["stddev"] - volume.std(dtype=np.float64)) < 1e-6
