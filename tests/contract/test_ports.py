from __future__ import annotations

import pytest

from floodrunner.contract.ports import PortType, is_harmless, port_file, split_dataset


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("a.png", False),
        ("notes", False),
        (".a.png", True),
        ("Thumbs.db", True),
        ("desktop.INI", True),
        ("a.tif:Zone.Identifier", True),
    ],
)
def test_files_of_file_managers_are_no_data(name: str, harmless: bool) -> None:
    assert is_harmless(name) is harmless


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("image.h5:raw", ("image.h5", "raw")),
        ("a@b/image.HDF5@group/raw", ("a@b/image.HDF5", "group/raw")),
        ("image.h5", ("image.h5", None)),
        ("C:\\data", ("C:\\data", None)),
        ("a@b/images", ("a@b/images", None)),
    ],
)
def test_a_dataset_is_split_off(path: str, parts: tuple[str, str | None]) -> None:
    assert split_dataset(path) == parts


def test_ports() -> None:
    assert PortType.parse("image|labels?") == PortType(("image", "labels"), optional=True)
    assert PortType.parse("image") == PortType(("image",), optional=False)
    assert [port_file("a", kind) for kind in ("image", "metrics", "unet-model")] == ["a.h5", "a.json", "a"]
