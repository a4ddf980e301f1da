"""Reads the JSON file that the stage `statistics` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.json_files import read_json

_LARGEST = 1e30
"""Greys of this size still leave room for their differences in float32, with which the networks compute."""

Grey = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]


class _Moments(BaseModel):
    """What `moments` in `segmentation/statistics.py` computes; only mean and standard deviation are needed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mean: Grey
    stddev: Annotated[float, Field(ge=0, le=_LARGEST, allow_inf_nan=False)]
    minimum: Grey | None = None
    maximum: Grey | None = None
    voxels: Annotated[int, Field(ge=1)] | None = None


class _Statistics(_Moments):
    whole: _Moments | None = None
    """The same figures with blank sections, saturated sections and black borders; left out if there are none."""


def read_statistics(path: str | Path) -> tuple[float, float]:
    """Returns the mean and the standard deviation of the image.

    Raises:
      InputError: if the file does not hold these two numbers, or the standard deviation is 0.
    """
    found = read_json(Path(path), _Statistics, "connect the output of statistics")
    if found.stddev < 1 / _LARGEST:
        raise InputError(
            f"{path}: mean {found.mean}, stddev {found.stddev}; an image of one grey cannot be normalised: check the "
            "sections"
        )
    return found.mean, found.stddev
