"""Names that are the same, and their order."""

from __future__ import annotations

import unicodedata

import pytest

from floodrunner.stages.storage.names import doubtful_point, natural_key, natural_keys, same_name


@pytest.mark.parametrize("name", ["Käfer-0", "Ångström µm", "が細胞", "plain"])
def test_names_as_macos_and_as_linux_write_them_are_the_same(name: str) -> None:
    nfc, nfd = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    assert same_name(nfc) == same_name(nfd) == nfc


def test_other_names_stay_apart() -> None:
    assert len({same_name(name) for name in ("Kafer", "Käfer", "Kaefer", "käfer")}) == 4


@pytest.mark.parametrize(
    "names",
    [
        "z1 z2 z10 z100",
        "z-10 z-5 z0 z5",
        "z_-002.50 z_-001.00 z_0000.00 z_0001.50",  # Micro-Manager writes positions so
        "z-1.5 z-0.5 z+0.5 z+1.5",
        "z\u22122 z0 z2",  # the minus sign of typesetters
        "stack--5 stack-5 stack-10",  # here - separates, and one more is a sign
        "z0.5 z1.0 z10.25",
        "z1 z1.5 z2 z10",
        "z0.5um_t1 z0.5um_t2 z10.5um_t1",
        "a-1 a-2 a-10",
        "2024-01-02_z003 2024-01-02_z010 2024-01-10_z001 2024-02-01_z001",
        "s1.9 s1.10 s1.11 s2.1",  # section 10 of block 1
        "W2.1 W2.2 W2.8 W2.9 W2.11 W2.12 W2.15",  # section 10 is lost
        "s1.1 s1.3 s1.5 s1.7 s1.9 s1.11 s1.13",  # every second section
        "1.1 1.2 1.3 1.11 1.12 2.1",
        "p3.8 p3.9 p3.11 p3.99 p3.101 p4.1",
        "z0.05 z0.1 z0.15 z0.2 z0.25",  # positions as Python writes them
        "z0.0 z0.25 z0.5 z1.0 z1.25 z1.5",  # one is lost
        "z1 z1.25 z1.5 z1.75 z2",
        "z" + "8" * 50 + ".5 z" + "8" * 50 + ".25",
        "em_v1.2.9_z1 em_v1.2.10_z1",
        "2024.01.02 2024.01.10 2024.02.01",
        "slide-3-z1 slide-3-z2 slide-10-z1",
        "z0001 z0002 z10",
        "img img-1 img-2 img-10",
        "z\u0661 z\u0662 z\u0661\u0660",  # Arabic digits
        "z" + "8" * 5000 + " z" + "9" * 5000,
        f"z-{10**40 + 1} z-{10**40} z0",
    ],
)
def test_numbers_sort_by_value(names: str) -> None:
    right = names.split()
    keys = dict(zip(right, natural_keys(right), strict=True))
    for mixed in (right[::-1], sorted(right)):
        again = dict(zip(mixed, natural_keys(mixed), strict=True))
        assert sorted(mixed, key=again.__getitem__) == right
        assert again == keys


@pytest.mark.parametrize("names", ["z1 z01", "A1 a1", "z1.0 z1 z1.5", "z\uff11 z1", "a\u0308-1 \xe4-1"])
def test_names_of_one_place(names: str) -> None:
    one, other, *_ = natural_keys(names.split())
    assert one == other


def test_the_key_of_one_name_takes_no_sign_for_one() -> None:
    names = ["s1.9", "s1.10", "a-2", "a-10", "z" + "9" * 5000]
    assert sorted(names, key=natural_key) == ["a-2", "a-10", "s1.9", "s1.10", "z" + "9" * 5000]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("W2.1 W2.2 W2.9 W2.11", "the point in W2.9 is taken for a separator, so W2.9 comes before W2.11"),
        ("s1.9.tif s1.10.tif", "the point in s1.9.tif is taken for a separator, so s1.9.tif comes before s1.10.tif"),
        ("z0.25 z0.50 z0.75", None),  # the same order either way
        ("z1.25 z1.5 z1.75 z2.0", "the point in z1.25 is taken for a decimal point, so z1.25 comes before z1.5"),
        ("z0.05 z0.1 z0.15", "the point in z0.05 is taken for a decimal point, so z0.05 comes before z0.1"),
        ("z0.5 z1.0 z10.25", None),
        ("s1.01 s1.09 s1.10", None),
        ("em_v1.2.9_z1 em_v1.2.10_z1", None),
        ("z1 z2 z10", None),
    ],
)
def test_what_a_point_is_taken_for_is_told_if_the_order_depends_on_it(names: str, said: str | None) -> None:
    found = doubtful_point(names.split())
    assert (found and found.split(";")[0]) == said
