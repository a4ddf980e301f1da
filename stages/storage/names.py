"""Names: when two are the same, and the order of names that contain numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import NamedTuple

Key = tuple[tuple[int, Decimal | str], ...]

_NUMBERS = re.compile(r"(?:(?<!\d)[-+\u2212])?\d+(?:\.\d+)*")  # U+2212 is the minus sign
_SIGNS = "-+\u2212"


class _Number(NamedTuple):
    """Numbers joined by dots, and where in a name they are.

    Attributes:
      start, end: part of the name, with the sign.
      sign: `-`, `+`, the minus sign or nothing; whether it is a sign or a separator is not known yet.
      parts: the numbers between the dots.
      before: the name before the sign, with `#` for each number, so that names tell which numbers belong together.
    """

    start: int
    end: int
    sign: str
    parts: list[str]
    before: str


def same_name(name: str) -> str:
    """Returns the form in which names are compared: NFC, in which `ä` is one character.

    macOS writes `a` and a combining dieresis (NFD), and file systems keep both forms apart, although they look alike.

    Source: Unicode Standard Annex 15, Unicode Normalization Forms.
    """
    return unicodedata.normalize("NFC", name)


def natural_key(name: str) -> Key:
    """A sort key that compares whole numbers by value: `z2` before `z10`, `z01` equal to `z1`, `A` equal to `a`.

    One name alone does not tell whether `-` is a sign and `.` a decimal point, so here they never are.
    """
    return _key(same_name(name).lower(), (), ())


def natural_keys(names: Sequence[str]) -> list[Key]:
    """Sort keys like those of `natural_key` for all names of a folder; these also know negative and decimal numbers.

    All names decide together what a character before or inside a number means.

    `-` is a sign if it is not behind a digit, and some name has at this place a number without `-`: `z-5, z0, z5` are
    -5, 0, 5. In `a-1, a-2` it separates, and in `2024-01-02` it always does.

    `.` is a decimal point between two numbers, unless more follow (`1.2.3` is a version, `2024.01.02` a date). At this
    place all names must have the same number of digits behind the point, or none may end in a needless 0, as programs
    write decimal numbers: `z0.5, z1.0, z10.25`. So in `s1.9, s1.10, s1.11` the `.` separates.
    """
    names = [same_name(name).lower() for name in names]
    found = [_numbers(name) for name in names]
    # At `z5` and `z+5` the `-` of `z-5` is a sign, and at `stack-5` that of `stack--5`.
    unsigned = {number.before for numbers in found for number in numbers if number.sign in ("", "+")}
    unsigned |= {number.before + number.sign for numbers in found for number in numbers}
    decimals: defaultdict[str, set[str]] = defaultdict(set)
    for numbers in found:
        for number in numbers:
            if len(number.parts) == 2:
                decimals[number.before].add(number.parts[1])
    pointed = {before for before, digits in decimals.items() if _are_fractions(digits)}
    return [_key(name, unsigned, pointed) for name in names]


def _numbers(name: str) -> list[_Number]:
    found, before, end = [], "", 0
    for match in _NUMBERS.finditer(name):
        before += name[end : match.start()]
        end = match.end()
        sign = match[0][0] if match[0][0] in _SIGNS else ""
        found.append(_Number(match.start(), end, sign, match[0][len(sign) :].split("."), before))
        before += "#"
    return found


def _are_fractions(digits: Collection[str]) -> bool:
    return len({len(each) for each in digits}) == 1 or not any(each.endswith("0") and each != "0" for each in digits)


def _key(name: str, unsigned: Collection[str], pointed: Collection[str]) -> Key:
    """The key of a name, with the places (`_Number.before`) where signs are signs and points are decimal points."""
    key: list[tuple[int, Decimal | str]] = []
    text, end = "", 0
    for number in _numbers(name):
        text += name[end : number.start]
        end = number.end
        signed = number.sign != "" and number.before in unsigned
        if not signed:
            text += number.sign
        parts = [".".join(number.parts)] if number.before in pointed and len(number.parts) == 2 else number.parts
        for k, part in enumerate(parts):
            text += "." if k else ""
            if text:
                key.append((1, text))
            # Decimal is exact, knows the digits of every script, and unlike int reads any number of them.
            value = Decimal(part)
            key.append((0, value.copy_negate() if signed and number.sign != "+" and not k else value))
            text = ""
    text += name[end:]
    return (*key, (1, text)) if text else tuple(key)
