from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from floodrunner.contract.lengths import PixelSize, VoxelSize, doubt


def test_sizes_in_another_unit_are_refused_with_what_is_meant() -> None:
    with pytest.raises(ValidationError, match=r"0\.004 nm is less than an atom; did you mean µm\? write \[4, 4, 30\]"):
        TypeAdapter(VoxelSize).validate_python((0.004, 0.004, 0.03))
    with pytest.raises(ValidationError, match=r"did you mean µm\? write \[65, 65\]"):
        TypeAdapter(PixelSize).validate_python((0.065, 0.065))
    with pytest.raises(ValidationError, match="500,000 nm is more than 100 µm; lengths are in nm"):
        TypeAdapter(VoxelSize).validate_python((4, 4, 500_000))


def test_what_microscopes_see_is_taken() -> None:
    assert TypeAdapter(VoxelSize).validate_python((0.1, 4, 100_000)) == (0.1, 4, 100_000)
    assert doubt([1, 1, 1]) is None
