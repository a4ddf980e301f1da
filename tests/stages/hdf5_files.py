"""HDF5 files as other programs write them, and what the readers say about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.sections import open_stack

Z, Y, X = np.mgrid[:4, :5, :6]
TRUTH = (X + 6 * Y + 30 * Z).astype(np.uint8)


def read(path: Path | str) -> np.ndarray:
    with open_stack(str(path)) as stack:
        return np.stack(list(stack.sections(lambda pixels, _: pixels)))


def remarks(path: Path | str) -> list[str]:
    with open_stack(str(path)) as stack:
        return [remark.removeprefix(f"{path}: ") for remark in stack.remarks]


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def axistags(axes: str) -> str:
    return json.dumps({"axes": [{"key": key, "typeFlags": 2, "resolution": 0, "description": ""} for key in axes]})


def arranged(axes: str) -> np.ndarray:
    """The volume with its axes in this order; axes that are not z, y, x have length 1."""
    wide = TRUTH[None, None]
    return wide.transpose(["tczyx".index(axis) for axis in axes] + [k for k, a in enumerate("tczyx") if a not in axes])[
        (...,) + (0,) * (5 - len(axes))
    ]
