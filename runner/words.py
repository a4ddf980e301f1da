"""Numbers, times and paths in the form that people read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path


def duration(seconds: float) -> str:
    """A duration in words: `0.4 s`, `12 s`, `3:05 min`, `2:03:05 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} h"


def number(value: float | None) -> str:
    """Four significant digits; whole numbers in full."""
    if value is None or not math.isfinite(value):
        return "not a number"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}"


def metrics(values: Mapping[str, float | None]) -> list[str]:
    """A phrase for each metric: `adapted rand error 0.1842`."""
    return [f"{name.replace('_', ' ')} {number(value)}" for name, value in values.items()]


def size(count: float) -> str:
    """A number of bytes: `3.2 GB`."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min(int(math.log10(count) / 3), 4)
    return f"{count / 1000**power:.1f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def here(path: Path) -> str:
    """A path relative to the current folder, or absolute if the path is outside the current folder."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)
