"""Numbers, times and paths in the form that people read."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks that turn the direction of writing, and bytes of a name that are not UTF-8."""


def shown(text: str) -> str:
    """A text of somebody else (a stage, a file's name) as one line that does nothing to a terminal.

    Line breaks become spaces, other control characters their codes: `\\x1b`.
    """
    return text if text.isprintable() else _UNSEEN.sub(_code, _SPACES.sub(" ", text))


def shown_lines(text: str) -> str:
    """The same for a text of several lines, such as a log: line breaks and tabs stay."""
    return re.sub(r"[^\n\t]+", lambda found: _UNSEEN.sub(_code, found[0]), text)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # how Python writes the byte 0x80 to 0xff of a name that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    if 0xD800 <= number <= 0xDFFF:
        return "?"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def cut(text: str, most: int) -> str:
    """The text, or of a longer one the first part with dots: at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def quoted(text: object, most: int = 60) -> str:
    """A word of the user's in quotes; of a very long one the first part."""
    return repr(cut(str(text), most))


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names, separated by commas; of very many only the first: `a, b, and 98 more`."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*map(shown, names[:most]), *more])


def duration(seconds: float) -> str:
    """A duration in words: `0.4 s`, `12 s`, `3:05 min`, `2:03:05 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} h"


def number(value: float | None) -> str:
    """Four significant digits; whole numbers in full."""
    if value is None or not math.isfinite(value):
        return "not a number"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}"


def metrics(values: Mapping[str, float | None]) -> list[str]:
    """A phrase for each metric: `adapted rand error 0.1842`."""
    return [f"{name.replace('_', ' ')} {number(value)}" for name, value in values.items()]


def size(count: float) -> str:
    """A number of bytes: `3.2 GB`."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min(int(math.log10(count) / 3), 4)
    return f"{count / 1000**power:.1f} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def here(path: Path) -> str:
    """A path relative to the current folder, or absolute if the path is outside the current folder."""
    try:
        relative = os.path.relpath(path)
    except FileNotFoundError:  # the current folder was removed
        return str(path)
    return relative if not relative.startswith("..") else str(path)
