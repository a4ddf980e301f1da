from __future__ import annotations

import json
from pathlib import Path

import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.statistics import read_statistics


def test_mean_and_standard_deviation_are_read(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"mean": 120, "stddev": 40.5}')
    assert read_statistics(tmp_path / "s.json") == (120.0, 40.5)
    (tmp_path / "s.json").write_text('{"mean": -0.5, "stddev": 1e-9, "minimum": -1, "maximum": 1.5, "voxels": 8}')
    assert read_statistics(tmp_path / "s.json") == (-0.5, 1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": 10**400}, "mean: found 1000"),
        ({"mean": 1e31}, "mean: found 1e+31; input should be less than or equal to 1000"),
        ({"stddev": float("nan")}, "NaN is not a number"),
        ({"stddev": -1}, "stddev: found -1; input should be greater than or equal to 0"),
        ({"stddev": 0}, "mean 120.0, stddev 0.0; an image of one grey cannot be normalised"),
        ({"stddev": 1e-40}, "mean 120.0, stddev 1e-40; an image of one grey cannot be normalised"),
        ({"voxels": 0}, "voxels: found 0; input should be greater than or equal to 1"),
        ({"median": 3}, "median is not a key that a stage writes"),
    ],
)
def test_what_no_image_has_is_refused(tmp_path: Path, change: dict[str, float], words: str) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"mean": 120, "stddev": 40} | change))
    with pytest.raises(InputError) as caught:
        read_statistics(tmp_path / "s.json")
    assert words in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 250
