"""Names that are the same, and their order."""

from __future__ import annotations

import unicodedata

import pytest

from stages.storage.names import same_name


@pytest.mark.parametrize("name", ["Käfer-0", "Ångström µm", "が細胞", "plain"])
def test_names_as_macos_and_as_linux_write_them_are_the_same(name: str) -> None:
    nfc, nfd = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    assert same_name(nfc) == same_name(nfd) == nfc


def test_other_names_stay_apart() -> None:
    assert len({same_name(name) for name in ("Kafer", "Käfer", "Kaefer", "käfer")}) == 4
