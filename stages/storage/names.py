"""Names: when two are the same, and the order of names that contain numbers.

Sections have one order, which the names of a folder show together (`natural_keys`). Pictures have none that counts, but
parts of a set must list them as the whole set does, so their order is that of each name by itself (`natural_key`).
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from decimal import Decimal
from fractions import Fraction
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

    `.` is a decimal point between two numbers, unless more follow (`1.2.3` is a version, `2024.01.02` a date), and
    unless `_is_decimal` takes it for a separator.
    """
    names = [same_name(name).lower() for name in names]
    found = [_numbers(name) for name in names]
    # At `z5` and `z+5` the `-` of `z-5` is a sign, and at `stack-5` that of `stack--5`.
    unsigned = {number.before for numbers in found for number in numbers if number.sign in ("", "+")}
    unsigned |= {number.before + number.sign for numbers in found for number in numbers}
    pointed = {before for before, values in _with_points(found).items() if _is_decimal(values)}
    return [_key(name, unsigned, pointed) for name in names]


def doubtful_point(names: Sequence[str]) -> str | None:
    """Says for what the `.` in names was taken, if the other meaning gives another order; None if the order is sure."""
    found = [_numbers(same_name(name).lower()) for name in names]
    for before, values in _with_points(found).items():
        decimal = _is_decimal(values)
        order, other = _order(values, decimal), _order(values, not decimal)
        if order == other:
            continue
        pair = next((a, b) for a, b in itertools.pairwise(order) if other.index(a) > other.index(b))
        one, two = (
            next(name for name, numbers in zip(names, found, strict=True) if (before, value) in _places(numbers))
            for value in pair
        )
        return (
            f"the point in {one} is taken for a {'decimal point' if decimal else 'separator'}, so {one} comes before "
            f"{two}; if that is wrong, write equally many digits behind each point"
        )
    return None


def _places(numbers: Sequence[_Number]) -> list[tuple[str, tuple[str, ...]]]:
    return [(number.before, tuple(number.parts)) for number in numbers if len(number.parts) <= 2]


def _with_points(found: Sequence[Sequence[_Number]]) -> dict[str, set[tuple[str, ...]]]:
    """The numbers at each place where some have a point, each as one or two texts of digits."""
    places: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for before, parts in itertools.chain.from_iterable(map(_places, found)):
        places[before].add(parts)
    return {before: values for before, values in places.items() if any(len(value) == 2 for value in values)}


def _order(values: Collection[tuple[str, ...]], decimal: bool) -> list[tuple[str, ...]]:
    if decimal:
        return sorted(values, key=lambda value: (Decimal(".".join(value)), value))
    return sorted(values, key=lambda value: ([Decimal(part) for part in value], value))


def _is_decimal(values: Collection[tuple[str, ...]]) -> bool:
    """Tells whether `.` is a decimal point in these numbers, of which all names together show the meaning.

    It is if equally many digits are behind each, as then the order is the same either way. Among others, a needless 0
    shows that it is none (`s1.9, s1.10`: programs write 1.1). Otherwise it is one if a 0 is at the front (`0.05, 0.1`),
    the order is the same either way, or the values are equal steps of which at least half are there: `0.25, 0.5, 0.75,
    1`, but not `2.1, 2.2, ... 2.9, 2.11`.
    """
    digits = {value[1] for value in values if len(value) == 2}
    if len({len(each) for each in digits}) == 1:
        return True
    if any(each.endswith("0") and each != "0" for each in digits):
        return False
    if any(each.startswith("0") and each != "0" for each in digits) or _order(values, True) == _order(values, False):
        return True
    steps = sorted({Fraction(Decimal(".".join(value))) for value in values})
    gaps = [b - a for a, b in itertools.pairwise(steps)]
    return len(gaps) > 1 and all(gap % min(gaps) == 0 for gap in gaps) and sum(gaps) / min(gaps) < 2 * len(steps)


def _numbers(name: str) -> list[_Number]:
    found, before, end = [], "", 0
    for match in _NUMBERS.finditer(name):
        before += name[end : match.start()]
        end = match.end()
        sign = match[0][0] if match[0][0] in _SIGNS else ""
        found.append(_Number(match.start(), end, sign, match[0][len(sign) :].split("."), before))
        before += "#"
    return found


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
