"""`auto` in the stages that prepare and train an FFN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.stages import ffn_train
from floodrunner.stages.storage.coordinates import read_coordinates
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume
from tests.stages.test_ffn_train import train


@pytest.fixture
def thin(tissue: dict[str, Path], run_stage: Any) -> dict[str, Path]:
    """The inputs of `ffn-train`, 40 x 32 x 20 voxels, with coordinates that `auto` has made."""
    made = run_stage("ffn-partitions", {"labels": tissue["labels"]}, lom_radius_xyz="auto", min_size=10)
    (said,) = made.reported("message")
    assert said["text"] == "lom_radius_xyz is 13 10 6, because the volume has 40 x 32 x 20 voxels (x, y, z)"
    partitions, _ = read_volume(made["volume"])
    assert np.array_equal(partitions != 255, np.pad(np.ones((8, 12, 14), bool), ((6, 6), (10, 10), (13, 13))))
    listed = run_stage("ffn-coordinates", {"partitions": made["volume"]}, margin_xyz="auto")
    said = listed.reported("message")[0]["text"]
    assert said == "margin_xyz is 13 10 6, because the volume has 40 x 32 x 20 voxels (x, y, z)"
    assert len(read_coordinates(listed["table"]).indices) == 8 * 12 * 14
    return {**tissue, "coordinates": listed["table"]}


@pytest.mark.usefixtures("uncompiled")
def test_three_stages_come_to_sizes_that_fit_each_other(thin: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "t"
    auto = {"fov_xyz": "auto", "deltas_xyz": "auto", "max_steps": 2}
    assert train(thin, folder, **auto)[0] == (
        "fov_xyz is 15 15 9 and deltas_xyz is 3 3 2, because the stack has 20 sections and the sections have 32 voxels "
        "along y"
    )
    written = json.loads((folder / "partial" / "model" / "network.json").read_text())
    assert (written["fov_xyz"], written["deltas_xyz"]) == ([15, 15, 9], [3, 3, 2])
    (folder / "partial" / "model" / "network.json").unlink()
    by_hand = {"fov_xyz": [15, 15, 9], "deltas_xyz": [3, 3, 2], "max_steps": 3}
    assert train(thin, folder, **by_hand)[-1].endswith("from step 2 to 3")
    assert train(thin, folder, **auto | {"max_steps": 4})[-1].endswith("from step 3 to 4")
    told = train(thin, folder, **by_hand | {"fov_xyz": [13, 13, 7], "max_steps": 4})
    assert told[0].startswith("the saved state has other settings or data (fov_xyz changed)")


@pytest.mark.usefixtures("uncompiled")
def test_what_is_set_by_hand_is_kept_and_the_rest_fits_it(
    tissue: dict[str, Path], thin: dict[str, Path], tmp_path: Path
) -> None:
    # These coordinates have a margin of 7 x 5 x 4, set by hand.
    told = train(tissue, tmp_path / "a", fov_xyz="auto", deltas_xyz="auto", max_steps=1)[0]
    assert told.startswith("fov_xyz is 7 7 7 and deltas_xyz is 1 1 1, because positions come within 4 voxels of the")
    told = train(thin, tmp_path / "b", fov_xyz=[17, 9, 5], deltas_xyz="auto", max_steps=1)[0]
    assert told == "deltas_xyz is 4 2 1, because fov_xyz is 17 9 5"
    told = train(thin, tmp_path / "c", fov_xyz="auto", deltas_xyz=[2, 2, 1], max_steps=1)[0]
    assert told.startswith("fov_xyz is 17 17 11, because the stack has 20 sections")
    with pytest.raises(InputError, match=r"together reach \[24, 24, 12\]; set margin_xyz of ffn-coordinates to \[24, "):
        train(thin, tmp_path / "d", fov_xyz=[33, 33, 17], deltas_xyz="auto", max_steps=1)


def test_a_single_section_is_refused_by_each_stage(tmp_path: Path, run_stage: Any) -> None:
    labels = np.ones((1, 80, 80), np.uint16)
    write_volume(tmp_path / "labels.h5", "labels", labels, Place())
    write_volume(tmp_path / "partitions.h5", "partitions", labels.astype(np.uint8), Place())
    words = r"the stack has 1 section, but auto needs 6 or more; use a larger volume, or set lom_radius_xyz and "
    with pytest.raises(InputError, match=rf"labels\.h5: {words}"):
        run_stage("ffn-partitions", {"labels": tmp_path / "labels.h5"}, lom_radius_xyz="auto")
    with pytest.raises(InputError, match=rf"partitions\.h5: {words}"):
        run_stage("ffn-coordinates", {"partitions": tmp_path / "partitions.h5"}, margin_xyz="auto")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fov_xyz": "auto", "deltas_xyz": [0, 0, 0]}, "deltas_xyz are all 0: the field of view would never move"),
        ({"fov_xyz": [999, 999, 999], "deltas_xyz": "auto"}, "use at most 10,000,000"),
        ({"fov_xyz": [9, 9, 4], "deltas_xyz": "auto"}, "4 is even"),
    ],
)
def test_numbers_beside_auto_are_checked(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ffn_train.Params.parse(params)
