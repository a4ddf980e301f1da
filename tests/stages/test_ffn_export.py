from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn import checkpoint
from floodrunner.segmentation.ffn import network as ffn
from floodrunner.stages.storage import ffn_models

THEIRS = ffn.NetworkSpec(depth=1, features=32, fov=(5, 9, 9), deltas=(1, 2, 2))


def test_a_model_of_ours_becomes_a_checkpoint(run_stage: Callable[..., Any], tmp_path: Path) -> None:
    weights = ffn.weights(ffn.build(THEIRS))
    ffn_models.write_model(tmp_path / "model", THEIRS, weights, 12345)
    result = run_stage("ffn-export", {"model": tmp_path / "model"})
    assert sorted(path.name for path in result["checkpoint"].iterdir()) == [
        "checkpoint",
        "model.ckpt-12345.data-00000-of-00001",
        "model.ckpt-12345.index",
    ]
    read, step = checkpoint.read(result["checkpoint"] / "model.ckpt-12345")
    assert step == 12345
    assert read.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(read[name], array)
    assert len(result.reported("message")) == 1  # 32 features: nothing to warn of
    assert result.reported("artifact")[0]["title"] == "the checkpoint model.ckpt-12345 for google/ffn"


def test_a_folder_that_is_no_model(run_stage: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a model that ffn-train or ffn-import wrote"):
        run_stage("ffn-export", {"model": tmp_path})
