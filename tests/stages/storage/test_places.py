"""Voxel sizes and offsets in HDF5 files of other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.stages.readers.sections import open_stack
from tests.stages.hdf5_files import TRUTH, arranged, axistags, refusal, remarks

CREMI = {"resolution": (40, 4, 4)}
OURS = {"voxel_size_xyz": (1.0, 2.0, 3.0), "offset_xyz": (1, 2, 3)}


@pytest.mark.parametrize(
    ("attributes", "size", "offset", "said"),
    [
        (CREMI, (4.0, 4.0, 40.0), (0, 0, 0), "4 x 4 x 40 nm (x, y, z), from the attribute resolution (z, y, x in nm)"),
        (
            {"element_size_um": (0.235, 0.15, 0.14)},
            (140.0, 150.0, 235.0),
            (0, 0, 0),
            "140 x 150 x 235 nm (x, y, z), from the attribute element_size_um (z, y, x in µm)",
        ),
        (
            {**CREMI, "offset": (1480.0, 3644.0, 3648.0)},
            (4.0, 4.0, 40.0),
            (912, 911, 37),
            "its corner is at voxel 912, 911, 37 (x, y, z), from the attribute offset (z, y, x in nm), [1480.0, 36",
        ),
        (
            {**CREMI, "offset": (-40, 0, 6)},
            (4.0, 4.0, 40.0),
            (2, 0, -1),
            "which is not a multiple of the voxel size: it is rounded",
        ),
        ({**CREMI, "offset": (0, 0, 0)}, (4.0, 4.0, 40.0), (0, 0, 0), "4 x 4 x 40 nm"),
        ({"resolution": 300}, None, (0, 0, 0), "its attribute resolution is 300, which cannot be a voxel size"),
        ({"resolution": (0.04, 0.004, 0.004)}, None, (0, 0, 0), "[0.04, 0.004, 0.004], which cannot be a voxel size"),
        ({"offset": (40, 0, 0)}, None, (0, 0, 0), "is [40, 0, 0]; without a voxel size, it is not used"),
        ({**OURS, **CREMI, "offset": (9, 9, 9)}, (1.0, 2.0, 3.0), (1, 2, 3), None),
        (
            {"resolution": (4, 4, 30), "offset": (0, 0, 60)},
            None,
            (0, 0, 0),
            "its attribute resolution is [4, 4, 30], which looks like x, y, z: as z, y, x in nm, voxels would be 30 x "
            "4 x 4 nm (x, y, z); it is not used: set voxel_size_xyz, perhaps to [4, 4, 30]",
        ),
        (
            {"element_size_um": (0.01, 0.01, 0.05)},
            None,
            (0, 0, 0),
            "looks like x, y, z: as z, y, x in µm, voxels would be 50 x 10 x 10 nm (x, y, z); it is not used: set "
            "voxel_size_xyz, perhaps to [10, 10, 50]",
        ),
        ({"resolution": (8, 8, 8)}, (8.0, 8.0, 8.0), (0, 0, 0), "the voxel size is 8 x 8 x 8 nm"),
        ({"resolution": (30, 5, 4)}, (4.0, 5.0, 30.0), (0, 0, 0), "the voxel size is 4 x 5 x 30 nm"),
    ],
)
def test_voxel_size_and_offset_of_other_programs(
    file: Callable[..., Path], attributes: dict[str, Any], size: Any, offset: Any, said: str | None
) -> None:
    path = file(TRUTH, **attributes)
    with open_stack(str(path)) as stack:
        assert (stack.voxel_size_xyz, stack.offset_xyz) == (size, offset)
    assert said in "; ".join(remarks(path)) if said else not remarks(path)


@pytest.mark.parametrize(
    ("axes", "resolution", "offset"),
    [
        ("xyz", (4, 5, 30), (8, 0, 30)),
        ("xyz", (4, 4, 30), (8, 0, 30)),
        ("zxy", (30, 4, 5), (30, 8, 0)),
        ("cyzx", (5, 30, 4), (0, 30, 8)),
    ],
)
def test_sizes_have_the_order_of_the_axes(
    file: Callable[..., Path], axes: str, resolution: tuple[int, ...], offset: tuple[int, ...]
) -> None:
    path = file(arranged(axes), axistags=axistags(axes), resolution=resolution, offset=offset)
    with open_stack(str(path)) as stack:
        assert stack.voxel_size_xyz == (4, resolution[axes.replace("c", "").index("y")], 30)
        assert stack.offset_xyz == (2, 0, 1)
    assert f"(x, y, z), from the attribute resolution ({', '.join(axes.replace('c', ''))} in nm)" in remarks(path)[1]


def test_a_size_that_fits_another_order_of_the_axes_is_not_used(file: Callable[..., Path]) -> None:
    path = file(arranged("xyz"), axistags=axistags("xyz"), resolution=(30, 4, 4))
    with open_stack(str(path)) as stack:
        assert stack.voxel_size_xyz is None
    assert "is [30, 4, 4], which fits another order of the axes: as x, y, z in nm, voxels" in remarks(path)[1]


@pytest.mark.parametrize("value", [(1, 2), (-0.5, 1, 1), "text", (np.nan, 1, 1)])
def test_our_own_attributes_must_be_right(file: Callable[..., Path], value: Any) -> None:
    assert "attribute voxel_size_xyz of dataset /raw is" in refusal(file(TRUTH, voxel_size_xyz=value))
    assert "attribute offset_xyz of dataset /raw is" in refusal(file(TRUTH, offset_xyz=value))
