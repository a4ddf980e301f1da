from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.image_sets import Picture, write_set
from floodrunner.stages.storage.volumes import Place, write_volume


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    labels = np.zeros((30, 40), np.int32)
    labels[2:12, 2:12], labels[15:25, 20:35] = 1, 2
    write_set(tmp_path / "truth.h5", [Picture("p1", np.zeros(labels.shape, np.uint8), labels)])
    return tmp_path / "truth.h5"


def test_truth_against_itself_is_perfect(run_stage, truth: Path) -> None:
    result = run_stage("evaluate-pictures", {"segmentation": truth, "labels": truth})
    report = json.loads(result["metrics"].read_text())
    assert [report[key] for key in ("dice", "iou", "mean_average_precision", "count_error")] == [1, 1, 1, 0]
    assert (report["cells"], report["truth_cells"]) == (2, 2)
    assert {event["name"] for event in result.reported("metric")} == {
        "dice_of_pixels",
        "average_precision_of_cells",
        "count_error",
    }


def test_a_volume_is_refused(run_stage, tmp_path: Path, truth: Path) -> None:
    volume = tmp_path / "v.h5"
    write_volume(volume, "labels", np.ones((2, 3, 4), np.uint32), Place())
    for given in (volume, f"{volume}:labels"):
        for inputs in ({"segmentation": truth, "labels": given}, {"segmentation": given, "labels": truth}):
            with pytest.raises(InputError) as error:
                run_stage("evaluate-pictures", inputs)
            assert str(error.value).startswith(
                f"{volume}: is not a set of pictures (it holds labels); connect the output of"
            )


def test_a_dataset_of_a_set_is_refused(run_stage, truth: Path) -> None:
    with pytest.raises(InputError, match=r"names a dataset, but a set of pictures is a whole file; write .*\.h5$"):
        run_stage("evaluate-pictures", {"segmentation": f"{truth}:x", "labels": truth})


def test_a_missing_file(run_stage, tmp_path: Path, truth: Path) -> None:
    with pytest.raises(InputError) as error:
        run_stage("evaluate-pictures", {"segmentation": tmp_path / "no.h5", "labels": truth})
    assert str(error.value) == f"{tmp_path / 'no.h5'}: no such file"
