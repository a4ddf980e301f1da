"""Reads `events.jsonl` while a stage writes it.

Whatever a stage has written there, the runner neither fails nor waits nor runs out of memory. What is no event of a
form below is skipped, and texts are such that a terminal can show them.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from floodrunner.runner import words
from floodrunner.runner.workdir.files import json_object, open_own

_AT_ONCE = 4 << 20  # bytes read in one go; a line that is longer is no event
_LAST = 32 << 20  # bytes at the end of a file that are read at most, if nobody has read them as they were written
_LONGEST_TEXT, _LONGEST_SENTENCE, _LONGEST_NAME = 4000, 300, 200
_MOST_NUMBER = 1e15
LONGEST_S = 1e9
"""The longest time that is believed, in seconds."""


def _plain(most: int) -> BeforeValidator:
    """Makes a text one that a terminal can show; cuts it after so many characters."""

    def plain(value: Any) -> Any:
        return words.cut(words.shown(value[: most + 1]), most) if isinstance(value, str) else value

    return BeforeValidator(plain)


_Text = Annotated[str, _plain(_LONGEST_TEXT)]
_Sentence = Annotated[str, _plain(_LONGEST_SENTENCE)]
_Name = Annotated[str, _plain(_LONGEST_NAME)]
_Count = Annotated[float, Field(ge=0, le=_MOST_NUMBER)]
_Time = Annotated[float, Field(ge=0, le=_MOST_NUMBER)]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Start(_Event):
    """The runner starts an attempt. `time` is in seconds, like `time.time`."""

    event: Literal["start"]
    time: _Time


class Advance(_Event):
    """The step has done so much of its work."""

    event: Literal["progress"]
    time: _Time
    done: _Count
    total: _Count
    unit: _Name = ""


class Metric(_Event):
    """A figure of the result, or of a training step; `value` is None if it was not a number."""

    event: Literal["metric"]
    name: _Name
    value: float | None
    step: float | None = None


class Message(_Event):
    """A line for the user."""

    event: Literal["message"]
    text: _Text


class Conclusion(_Event):
    """A sentence about the result, which stays with it."""

    event: Literal["conclusion"]
    text: _Sentence


class Found(_Event):
    """A file or folder that is worth opening; `path` is relative to the folder of the outputs."""

    event: Literal["artifact"]
    path: _Text
    title: _Name = ""


class Spent(_Event):
    """A file in the state folder that is no longer needed."""

    event: Literal["spent"]
    path: _Text


class End(_Event):
    """The closing event of an attempt: a status of `floodrunner.contract.codes`, and one line for the user."""

    event: Literal["end"]
    status: str
    message: _Text = ""


Event = Start | Advance | Metric | Message | Conclusion | Found | Spent | End
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def read(value: Any) -> Event | None:
    """The event that a JSON value means; None if it is no event that the runner knows."""
    try:
        return _EVENT.validate_python(value)
    except ValidationError:
        return None


class Tail:
    """Reads the lines added to a file since the last call. A line that is not complete yet is read later."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset

    def new(self) -> list[Event]:
        """Events added since the last call, as far as they fit into 4 MB; the next call reads on.

        Lines that a crash has cut off are skipped, and so are lines that are longer.

        Raises:
          UserError: if there is anything but a plain file, which Floodrunner did not make.
        """
        try:
            with open_own(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read(_AT_ONCE)
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        if not end and len(data) == _AT_ONCE:
            end = _AT_ONCE
        self._offset += end
        return [event for line in data[:end].split(b"\n") if (event := _event(line)) is not None]

    def rest(self) -> Iterator[Event]:
        """The events that are left, when the stage has ended; of more than 32 MB only the last ones.

        What a process that the stage has left behind still adds is not waited for.
        """
        size = _size(self._path)
        self._offset = max(self._offset, size - _LAST)
        before = -1
        while self._offset != before and before < size:
            before = self._offset
            yield from self.new()


def begin(path: Path, text: str) -> int:
    """Appends a `start` event, which separates this attempt from earlier ones. Returns the offset after the event."""
    with open_own(path, "ab") as file:
        if file.tell() and not _ends_line(path):
            file.write(b"\n")
        file.write(json.dumps({"event": "start", "time": round(time.time(), 3), "text": text}).encode() + b"\n")
        return file.tell()


@dataclass(frozen=True)
class Begun:
    """The beginning of an attempt: its offset in `events.jsonl`, and its time in seconds, like `time.time`."""

    offset: int
    time: float


def last_begun(path: Path) -> Begun | None:
    """The beginning of the newest attempt in a file of events; None if there is none.

    If the attempt has written more than 32 MB since, the first progress in them stands for its beginning.
    """
    found, size = None, _size(path)
    offset = max(0, size - _LAST)
    with contextlib.suppress(FileNotFoundError), open_own(path, "rb") as file:
        file.seek(offset)
        while offset < size and (line := file.readline(_AT_ONCE)):
            offset += len(line)
            event = _event(line) if b'"start"' in line or (found is None and b'"progress"' in line) else None
            if isinstance(event, Start) or (found is None and isinstance(event, Advance)):
                found = Begun(offset, event.time)
    return found if found is not None and 0 < found.time <= time.time() + LONGEST_S else None


def _event(line: bytes) -> Event | None:
    value = json_object(line) if len(line) < _AT_ONCE else None
    return None if value is None else read(value)


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def _ends_line(path: Path) -> bool:
    with open_own(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
