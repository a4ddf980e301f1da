from __future__ import annotations

import itertools

import pytest

from floodrunner.segmentation.ffn import fitting

SNEMI3D = (30.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("spacing", "fov", "deltas"),
    [
        ((30, 4, 4), (17, 33, 33), (4, 8, 8)),  # SNEMI3D, google/ffn's example
        ((30, 6, 6), (17, 33, 33), (4, 8, 8)),  # Kasthuri et al. at half the resolution
        ((20, 9, 9), (17, 33, 33), (4, 8, 8)),  # j0126
        ((8, 8, 8), (33, 33, 33), (8, 8, 8)),  # FIB-25
        ((12, 10, 10), (27, 33, 33), (6, 8, 8)),
    ],
)
def test_a_large_volume_gets_the_sizes_that_are_published(
    spacing: tuple[float, float, float], fov: fitting.Triple, deltas: fitting.Triple
) -> None:
    found = fitting.field_of_view((100, 512, 512), spacing)
    assert found[:2] == (fov, deltas)
    assert found.because == f"voxels are {spacing[2]} x {spacing[1]} x {spacing[0]} nm"
    assert fitting.margin((64, 64, 64)).size == (24, 24, 24)


@pytest.mark.parametrize(
    ("sections", "margin", "fov", "delta"),
    [(6, 2, 3, 1), (12, 4, 7, 1), (20, 6, 9, 2), (36, 12, 17, 4), (63, 21, 17, 4), (64, 24, 17, 4)],
)
def test_a_thin_stack_gets_less_along_z_and_the_same_in_the_sections(
    sections: int, margin: int, fov: int, delta: int
) -> None:
    shape = (sections, 160, 160)
    assert fitting.margin(shape).size == (margin, 24, 24)
    found = fitting.field_of_view(shape, SNEMI3D)
    assert found[:2] == ((fov, 33, 33), (delta, 8, 8))
    assert ("the stack has" in found.because) == (fov < 17)


@pytest.mark.parametrize("spacing", [SNEMI3D, (8.0, 8.0, 8.0), (5.0, 10.0, 20.0)])
def test_examples_fit_around_a_quarter_of_the_sections_at_least(spacing: tuple[float, float, float]) -> None:
    for shape in itertools.product(range(6, 130), [6, 40, 63, 200], [200]):
        margin = fitting.margin(shape).size
        fov, deltas, _ = fitting.field_of_view(shape, spacing)
        for length, inside, size, delta in zip(shape, margin, fov, deltas, strict=True):
            assert size % 2 == 1
            assert 0 < 2 * delta < size
            assert size // 2 + delta <= inside
            assert length - 2 * inside >= length / 4


def test_the_sections_are_seen_in_a_square_where_their_voxels_are_squares() -> None:
    fov, deltas, because = fitting.field_of_view((100, 40, 300), SNEMI3D)
    assert (fov[1], deltas[1]) == (fov[2], deltas[2]) == (19, 4)
    assert because == "the sections have 40 voxels along y"


def test_an_unknown_voxel_size_is_not_taken_for_isotropic() -> None:
    fov, _, because = fitting.field_of_view((100, 512, 512), (1.0, 1.0, 1.0))
    assert fov == (17, 33, 33)
    assert because == "the voxel size is not known, so that 4 x 4 x 30 nm is assumed"


def test_a_margin_that_is_smaller_by_hand_decides() -> None:
    fov, deltas, because = fitting.field_of_view((100, 512, 512), SNEMI3D, room=(6, 12, 14))
    assert (fov, deltas) == ((9, 17, 17), (2, 4, 4))
    assert because == (
        "positions come within 6 voxels of the border along z and "
        "positions come within 12 voxels of the border along x or y"
    )
    with pytest.raises(ValueError, match="within 1 voxels of the border along z, but auto needs 2 or more"):
        fitting.field_of_view((100, 512, 512), SNEMI3D, room=(1, 24, 24))


def test_what_is_set_by_hand_decides_what_fits_it() -> None:
    assert fitting.field_of_view((20, 512, 512), SNEMI3D, fov=(5, 65, 33)) == (
        (5, 65, 33), (1, 16, 8), "fov_xyz is 33 65 5"
    )  # fmt: skip
    assert fitting.field_of_view((20, 512, 512), SNEMI3D, (6, 24, 24), fov=(11, 33, 1))[1] == (2, 8, 0)
    fov, deltas, because = fitting.field_of_view((20, 512, 512), SNEMI3D, deltas=(1, 8, 8))
    assert (fov, deltas) == ((11, 33, 33), (1, 8, 8))
    assert because == "the stack has 20 sections and deltas_xyz is 8 8 1"
    assert fitting.field_of_view((20, 512, 512), SNEMI3D, deltas=(9, 9, 9)).fov == (19, 31, 31)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 512, 512), "the stack has 1 section, but auto needs 6 or more; use a larger volume, or set lom_radius_xyz "
         "and margin_xyz [24, 24, 0], fov_xyz [33, 33, 1] and deltas_xyz [8, 8, 0], which finds objects in each "
         "section by itself"),
        ((90, 5, 512), "the sections have 5 voxels along y, but auto needs 6 or more; use a larger volume, or set "
         "lom_radius_xyz and margin_xyz [24, 0, 24], fov_xyz [33, 1, 17] and deltas_xyz [8, 0, 4]"),
    ],
)  # fmt: skip
def test_too_few_sections_are_refused_with_what_to_set(shape: fitting.Triple, words: str) -> None:
    for refusing in (lambda: fitting.margin(shape), lambda: fitting.field_of_view(shape, SNEMI3D)):
        with pytest.raises(ValueError, match="auto") as error:
            refusing()
        assert str(error.value) == words
