"""How little contrast training pictures of a U-Net have: `ranges.json` in the folder of its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.json_files import read_json

_FILE = "ranges.json"
_ADVICE = "put back a copy, train again, or remove the file, so that each picture is stretched to its full range"

Channels = Annotated[list[Annotated[float, Field(ge=0, lt=1e38)]], Field(min_length=1, max_length=3)]


class _Ranges(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    contrast: Channels


def write_ranges(folder: Path, weakest: list[float]) -> None:
    """Writes the lowest contrast of the training pictures, for each channel, into the folder of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(json.dumps({"contrast": weakest}, indent=2) + "\n", encoding="utf-8")


def read_ranges(folder: str | Path, channels: int) -> list[float] | None:
    """Reads what `write_ranges` wrote; None for a model of an earlier version, which has none.

    Raises:
      InputError: if the file is damaged.
    """
    file = Path(folder) / _FILE
    if not file.exists():
        return None
    found = read_json(file, _Ranges, _ADVICE)
    if len(found.contrast) != channels:
        raise InputError(f"{file}: is not of a network with {channels} channel{'s' if channels > 1 else ''}; {_ADVICE}")
    return found.contrast
