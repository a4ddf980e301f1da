"""How little contrast a U-Net's training pictures have: `ranges.json` in the folder of its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contract.stage import InputError
from segmentation.unet.normalisation import Weakest
from stages.storage.json_files import read_json

_FILE = "ranges.json"
_ADVICE = "put back a copy, train again, or remove the file, so that each picture is stretched to its full range"

Channels = Annotated[list[Annotated[float, Field(ge=0, lt=1e38)]], Field(min_length=1, max_length=3)]


class _Ranges(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    ratio: Channels
    ranges: dict[str, Channels]


def write_ranges(folder: Path, weakest: Weakest) -> None:
    """Writes the ranges of the training pictures into the folder of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(json.dumps(weakest._asdict(), indent=2) + "\n", encoding="utf-8")


def read_ranges(folder: str | Path, channels: int) -> Weakest | None:
    """Reads what `write_ranges` wrote; None for a model of an earlier version, which has none.

    Raises:
      InputError: if the file is damaged.
    """
    file = Path(folder) / _FILE
    if not file.exists():
        return None
    found = read_json(file, _Ranges, _ADVICE)
    if any(len(each) != channels for each in (found.ratio, *found.ranges.values())):
        raise InputError(f"{file}: is not of a network with {channels} channel{'s' if channels > 1 else ''}; {_ADVICE}")
    return Weakest(found.ratio, found.ranges)
