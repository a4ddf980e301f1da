"""Names in which several numbers count: tiles, channels, time points, and those that are as good as one number."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from contract.stage import InputError
from stages.readers.name_numbers import arrangement, section_numbers


def names(pattern: str, *counts: range) -> list[str]:
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
        ["z0_x100_y200.tif", "z1_x101_y200.tif", "z2_x101_y201.tif", "z3_x100_y201.tif"],  # the stage drifts
        ["run1_001.png", "run1_002.png", "run2_003.png", "run2_004.png"],  # counted through
        ["0.png", "a9.png", "A10.png", "b1.png"],  # nothing in common
        ["z1_ch01.png", "z2_ch01.png"],  # one channel
        names("ch{:03d}.png", range(100)),
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


def test_tiles_that_are_missing() -> None:
    given = names("em_s{}_Y{}_X{}.png", range(3), range(2), range(2))
    assert refusal(given[:-1]) == (
        "em: names of tiles (s0 to s2, Y0 and Y1, X0 and X1), but some tiles are missing, or a further number counts; "
        "give each section all its tiles, and nothing else"
    )


@pytest.mark.parametrize(
    ("given", "channels", "kept"),
    [
        (
            names("Series003_z{:02d}_ch{:02d}.tif", range(8), range(2)),
            "2 channels (ch00 and ch01)",
            "Series003_z00_ch00",
        ),
        (names("img_channel{:03d}_z{:03d}.tif", range(3), range(4)), "3 channels (channel000 to channel002)", "img_c"),
        (names("s_z{}_C{}.tif", range(4), range(2)), "2 channels (C0 and C1)", "s_z0_C0.tif, s_z1_C0.tif"),
        (names("well_w{}_z{}.TIF", range(1, 3), range(4)), "2 channels (w1 and w2)", "well_w1_z0.TIF, well_w1_z1.TIF"),
        (names("embryo_ch{:02d}.tif", range(3)), "3 channels (ch00 to ch02)", "embryo_ch00.tif, and"),
        (names("z{}_ch{}.tif", range(4), range(2))[:-1], "2 channels (ch0 and ch1)", "z0_ch0.tif, z1_ch0.tif"),
    ],
)
def test_channels_are_refused_by_name(given: list[str], channels: str, kept: str) -> None:
    text = refusal(given)
    assert text.startswith(
        f"em: the names hold {channels}; a stack has one: leave the files of one channel in the folder, such as {kept}"
    )


def test_numbers_of_unknown_meaning_in_all_combinations_are_refused() -> None:
    assert refusal(names("tile_{}_{}.png", range(3), range(4))) == (
        "em: names differ in two numbers (tile_0 to tile_2, 0 to 3), in all combinations: a stack has one; put tiles "
        "together, or leave one channel in the folder, or number the sections from first to last"
    )
    assert refusal(names("s_t{:03d}_z{}.png", range(3), range(4))) == (
        "em: names differ in two numbers (t000 to t002, z0 to z3), in all combinations: a stack has one; leave one "
        "time point in the folder, or number the sections from first to last"
    )
    dyes = [f"z{z}_{dye}.tif" for z in range(3) for dye in ("DAPI", "GFP")]
    assert refusal(dyes).startswith("em: names differ in a number and a word (z0 to z2, dapi and gfp), in all")


def test_numbers_that_follow_each_other_are_told() -> None:
    wafers = names("w{}_s{:03d}.png", range(1, 2), range(103)) + names("w{}_s{:03d}.png", range(2, 3), range(98))
    found = arrangement("em", wafers)
    assert found.tiles is None
    assert found.remark == (
        "em: names differ in two numbers (w1 and w2, s000 to s102); the sections are taken in the order of these, from "
        "w1_s000.png to w2_s097.png"
    )
