"""Where Floodrunner's own files are: in a checkout, or where it is installed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds `contract/`, `stages/`, `pipelines/`, ...: a checkout, or `floodrunner/` of an installation."""


def is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout, in which `floodrunner/` is beside `contract/`: not one of packages."""
    return all((folder / name).exists() for name in ("floodrunner/__init__.py", "contract", "pyproject.toml"))
