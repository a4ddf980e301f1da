from __future__ import annotations

from floodrunner.stages.storage import words


def test_sizes_are_written_with_x_first() -> None:
    assert words.size((20, 30)) == "30 x 20"
    assert words.voxels((70, 512, 256)) == "256 x 512 x 70 voxels (x, y, z)"
    assert words.box((70, 512, 256), (1, 2, 3)) == "256 x 512 x 70 voxels at 3 x 2 x 1 (x, y, z)"


def test_of_many_names_the_first_are_written() -> None:
    assert words.some(["a", "b", "c"]) == "a, b, c"
    assert words.some(iter("abcd")) == "a, b, c, ..."
    assert words.some("abc", most=1) == "a, ..."
    assert words.some([]) == ""
