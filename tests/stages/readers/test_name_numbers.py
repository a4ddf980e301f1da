"""Names in which several numbers count: tiles, channels, time points, and those that are as good as one number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal

import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.name_numbers import arrangement, section_numbers


def names(pattern: str, *counts: Iterable[object]) -> list[str]:
    return [pattern.format(*numbers) for numbers in itertools.product(*counts)]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["0000.png", "0002.png"], [0, 2]),
        (["em_4nm_z001_v2.png", "em_4nm_z002_v2.png"], [1, 2]),
        (["z-5.png", "z0.png", "z10.png"], [-5, 0, 10]),
        (["z0.5.png", "z1.0.png", "z10.25.png"], [Decimal("0.5"), 1, Decimal("10.25")]),
        (["img_003_z003.png", "img_004_z004.png"], [3, 4]),  # one number, twice
        (["em_s0_Y1_X1.png", "em_s1_Y1_X1.png"], [0, 1]),
        (["a1.png", "b2.png"], None),  # two things differ
        (["s1_t5.png", "s2_t6.png"], None),
        (["a1.png", "b1.png"], None),  # what differs is no number
        (["a1.png", "a1b.png"], None),
        (["a1.png"], None),
        ([], None),
    ],
)
def test_section_numbers(names: list[str], numbers: list[int] | None) -> None:
    assert section_numbers(names) == numbers


def refusal(given: list[str]) -> str:
    with pytest.raises(InputError) as caught:
        arrangement("em", given)
    return str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        ["z1.png", "z2.png"],
        ["img_003_z003.tif", "img_004_z004.tif", "img_005_z005.tif"],
        ["t0013_z1.tif", "t0027_z2.tif", "t0041_z3.tif", "t0055_z4.tif"],  # a time and an index
        ["run1_001.png", "run1_002.png", "run2_003.png", "run2_004.png"],  # counted through
        ["0.png", "a9.png", "A10.png", "b1.png"],  # nothing in common
        ["z1_ch01.png", "z2_ch01.png"],  # one channel
        names("ch{:03d}.png", range(100)),
        names("c{}.png", range(4)),
        names("tile{}.png", range(4)),
        ["z1_ch1.png", "z2_ch2.png", "z3_ch3.png"],
        ["a1.png"],
    ],
)
def test_names_in_which_one_number_counts(given: list[str]) -> None:
    assert arrangement("em", given) == arrangement("em", [])


@pytest.mark.parametrize(
    "pattern",
    ["em_s{:04d}_Y{}_X{}.png", "z{}_r{}c{}.tif", "z{}_tile_y{}_x{}.tif", "S_{}-row-{}-col-{}.tif", "{}_ty{}_tx{}.png"],
)
def test_tiles_are_known_by_the_words_before_their_numbers(pattern: str) -> None:
    found = arrangement("em", names(pattern, range(3), range(1, 3), range(1, 5)))
    assert found.tiles == [[[8 * z + 4 * y + x for x in range(4)] for y in range(2)] for z in range(3)]
    assert (found.row_numbers, found.column_numbers) == ([1, 2], [1, 2, 3, 4])


def test_tiles_in_any_order_of_their_numbers() -> None:
    given = names("tile_{:02d}_x{}_y{}_z{}.png", range(1), range(2), range(2), range(3))
    assert arrangement("em", given).tiles == [[[z, 6 + z], [3 + z, 9 + z]] for z in range(3)]
    numbered = ["tile0_x0_y0.png", "tile1_x1_y0.png", "tile2_x0_y1.png", "tile3_x1_y1.png"]
    assert arrangement("em", numbered).tiles == [[[0, 1], [2, 3]]]  # their own number counts for nothing


@pytest.mark.parametrize("pattern", ["tile{:04d}_s{}_Y{}_X{}.png", "{:04d}_z{}_r{}_c{}.tif", "I{}_S{}_row{}_col{}.png"])
def test_a_number_that_counts_all_files_does_not_hide_tiles(pattern: str) -> None:
    given = [pattern.format(k, *at) for k, at in enumerate(itertools.product(range(3), range(1, 3), range(1, 3)))]
    assert arrangement("em", given).tiles == [[[4 * z, 4 * z + 1], [4 * z + 2, 4 * z + 3]] for z in range(3)]
    assert f"but that of {given[8]} has 3 of 4" in refusal(given[:-1])


def test_sections_of_tiles_on_two_wafers() -> None:
    found = arrangement("em", names("wafer{}_sec{}_Y{}_X{}.png", range(1, 3), range(2), range(1), range(2)))
    assert found.tiles == [[[0, 1]], [[2, 3]], [[4, 5]], [[6, 7]]]
    assert found.remark is not None
    assert "the sections are taken in the order of these" in found.remark


@pytest.mark.parametrize(
    "given",
    [
        ["img_0_x10_y20.tif", "img_1_x12_y20.tif"],  # crops
        ["0000_x100_y200.tif", "0001_x101_y200.tif", "0002_x101_y201.tif"],  # the stage drifts
        ["z0_x100_y200.tif", "z1_x101_y200.tif", "z2_x101_y201.tif", "z3_x100_y201.tif"],
        names("z{0}_Y{0}_X1.png", range(4)),
    ],
)
def test_places_that_are_no_tiles_are_told(given: list[str]) -> None:
    found = arrangement("em", given)
    assert found.tiles is None
    assert found.remark == (
        f"em: each file is taken for a section, although {given[0]} to {given[-1]} hold y and x; if these are places "
        "of tiles, remove the number that counts all files"
    )


def test_places_before_the_section_change_the_order() -> None:
    assert arrangement("em", ["x9_y5_z2.tif", "x10_y5_z1.tif", "x10_y6_z3.tif"]).remark == (
        "em: the sections are taken in the order of whole names, so x9_y5_z2.tif is before x10_y5_z1.tif; to have them "
        "in the order of z, put that number first"
    )


def test_tiles_that_are_missing() -> None:
    given = names("em_s{}_Y{}_X{}.png", range(3), range(2), range(2))
    assert refusal(given[:-1]) == (
        "em: the names are those of tiles, 2 x 2 (x, y) in a section, but that of em_s2_Y0_X0.png has 3 of 4; give "
        "each section all its tiles, and nothing else"
    )


@pytest.mark.parametrize(
    ("given", "channels", "kept"),
    [
        (
            names("Series003_z{:02d}_ch{:02d}.tif", range(8), range(2)),
            "2 channels (Series003_z00_ch00.tif and Series003_z00_ch01.tif)",
            "Series003_z00_ch00.tif, Series003_z01_ch00.tif, ...",
        ),
        (
            names("img_channel{:03d}_z{:03d}.tif", range(3), range(4)),
            "3 channels (img_channel000_z000.tif and img_channel001_z000.tif)",
            "img_channel000_z000.tif",
        ),
        (
            names("s_z{}_C{}.tif", range(4), range(2)),
            "2 channels (s_z0_C0.tif and s_z0_C1.tif)",
            "s_z0_C0.tif, s_z1_C0",
        ),
        (
            names("C{}-stack{:02d}.tif", range(1, 3), range(4))[:-1],
            "2 channels (C1-stack00.tif and C2",
            "C1-stack00.tif",
        ),
        (
            names("z{:03d}_w{}.tif", range(3), range(1, 3))[:-1],
            "2 channels (z000_w1.tif and z000_w2.tif)",
            "z000_w1.tif",
        ),
        (
            names("embryo_ch{:02d}.tif", range(3)),
            "3 channels (embryo_ch00.tif and embryo_ch01.tif)",
            "embryo_ch00.tif,",
        ),
        (names("a_ch{}.tif", range(7)), "7 channels (a_ch0.tif and a_ch1.tif)", "a_ch0.tif, and"),
        (
            names("z{}_ch{}.tif", range(4), range(2))[:-1],
            "2 channels (z0_ch0.tif and z0_ch1.tif)",
            "z0_ch0.tif, z1_ch0",
        ),
        ([f"{k}_z{k // 2}_w{k % 2}.tif" for k in range(6)], "2 channels (0_z0_w0.tif and 1_z0_w1.tif)", "0_z0_w0.tif"),
        (names("z{}_Cy{}.tif", range(4), (3, 5)), "2 channels (z0_Cy3.tif and z0_Cy5.tif)", "z0_Cy3.tif"),
        (
            names("z{}_{}.tif", range(4), ("DAPI", "GFP")),
            "2 kinds of images (z0_DAPI.tif and z0_GFP.tif)",
            "z0_DAPI.tif",
        ),
        (
            names("{}_{}.tif", ("image", "label"), range(4)),
            "2 kinds of images (image_0.tif and label_0.tif)",
            "image_0",
        ),
        (
            names("s_t{:03d}_z{}.png", range(3), range(4)),
            "3 time points (s_t000_z0.png and s_t001_z0.png)",
            "s_t000_z0",
        ),
        (["s1_t1.png", "s1_t2.png", "s2_t1.png"], "2 time points (s1_t1.png and s1_t2.png)", "s1_t1.png, s2_t1.png"),
    ],
)
def test_files_of_other_channels_and_times_are_refused(given: list[str], channels: str, kept: str) -> None:
    text = refusal(given)
    assert text.startswith(f"em: the names hold {channels}")
    assert "; a stack has one: leave the files of one " in text
    assert f" in the folder, such as {kept}" in text


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        (["s1_tile1.png", "s1_tile2.png", "s2_tile1.png"], "s1_tile1.png and s1_tile2.png"),
        (names("tile_{}_{}.png", range(3), range(4)), "tile_0_0.png and tile_1_0.png"),
        (
            names("img_position{}_z{}.tif", range(2), range(3)),
            "img_position0_z0.tif and img_position1_z0.tif",
        ),
        (names("z{}_x{}.png", range(3), range(2)), "z0_x0.png and z0_x1.png"),
    ],
)
def test_tiles_without_rows_and_columns_are_refused(given: list[str], pair: str) -> None:
    assert refusal(given) == (
        f"em: the names hold several tiles or fields of view ({pair}); put the tiles of each section together (in "
        "Fiji: Plugins > Stitching), or name them by row and column: s1_Y1_X2"
    )


@pytest.mark.parametrize(
    "given",
    [
        names("W{:02d}_Sec{:03d}.png", range(1, 3), range(1, 5)),
        names("w{}_{:03d}.png", range(1, 3), range(1, 5)),
        names("block1_w{}_s{:03d}.png", range(1, 3), range(4)),
        names("wafer{:02d}_section{:03d}.png", range(1, 3), range(1, 5)),
        names("strip{}_section{}.png", range(1, 3), range(1, 5)),
        names("S{}_{:03d}.png", range(1, 3), range(3)),
        names("2024-{:02d}-{:02d}.png", range(1, 3), range(1, 4)),
        names("2024-01-02 10-{:02d}-{:02d}.png", range(3), range(0, 60, 30)),
        names("2024-01-02T{:02d}-{:02d}-00.png", range(9, 11), range(0, 60, 30)),
        names("{:03d}{}.png", range(1, 4), "ab"),
        names("{}{:02d}.png", "AB", range(1, 4)),
        names("label_{}_{:02d}.png", ("left", "right"), range(1, 4)),
    ],
)
def test_two_places_that_number_sections_are_told(given: list[str]) -> None:
    for some in (given, given[:-1]):
        found = arrangement("em", some)
        assert found.tiles is None
        assert found.remark is not None
        assert found.remark.startswith("em: names differ in 2 places (")
        assert f"; the sections are taken in the order of these, from {some[0]} to {some[-1]}" in found.remark


def test_what_two_places_are_is_shown_by_whole_names() -> None:
    wafers = [*names("w{}_s{:03d}.png", range(1, 2), range(103)), *names("w{}_s{:03d}.png", range(2, 3), range(98))]
    assert arrangement("em", wafers).remark == (
        "em: names differ in 2 places (2 values, as w1_s000.png and w2_s000.png; 103 values, as w1_s000.png and "
        "w1_s001.png); the sections are taken in the order of these, from w1_s000.png to w2_s097.png; w is taken for a "
        "wafer: if it is a channel, leave the files of one"
    )
