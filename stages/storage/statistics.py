"""Reads the JSON file that the stage `statistics` writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

from contract.stage import InputError


def read_statistics(path: str | Path) -> tuple[float, float]:
    """Returns the mean and the standard deviation of the image.

    Raises:
      InputError: if the file does not hold these two numbers, or the standard deviation is 0.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        mean, stddev = float(values["mean"]), float(values["stddev"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: holds no mean and stddev ({type(error).__name__}: {error}); connect the output of statistics"
        ) from None
    if not (math.isfinite(mean) and math.isfinite(stddev) and stddev > 0):
        raise InputError(
            f"{path}: mean {mean}, stddev {stddev}; an image of one grey cannot be normalised: check the sections"
        )
    return mean, stddev
