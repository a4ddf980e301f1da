"""Damages files: flipped bits, cut ends, moved blocks, extreme numbers; and for text, tokens replaced by odd ones."""

from __future__ import annotations

import re
from random import Random

_EXTREMES = [b"\xff" * n for n in (1, 2, 4, 8)] + [b"\x7f" + b"\xff" * 3, b"\x80" + b"\0" * 3, b"\xff" * 3 + b"\x7f"]
_EXTREMES += [b"\0" * n for n in (1, 2, 4, 8)] + [b"\0\0\0\x80", b"\xfe" + b"\xff" * 7, b"\1\0\0\0", b"\0\0\1\0"]

_NUMBERS = ["-1", "0", "1", "2", "3.5", "-0.0", "400", "100000", "1000000000", "1e400", "1e308", "NaN", "Infinity"]
_NUMBERS += ["1" + "0" * 5000, "9" * 400, "0x10", "007", "1_000", "true", "null", '"8"', "[]", "{}", "[1, 2, 3, 4]"]
_WORDS = [
    "",
    "..",
    "../../x",
    "a" * 300,
    "caf\u00e9",
    "\u202eabc",
    "\x1b[31mred",
    "a\nb",
    "\0",
    "1",
    "null",
    "[",
    "\\",
    "%s",
]
_NESTED = ["[" * 100_000, "{" * 1000, '{"a":' * 3000, "- " * 500, "[" * 60 + "]" * 60]


def damaged(data: bytes, random: Random) -> bytes:
    """Damages bytes in one to three ways."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(_BYTES)(data, random)
    return data


def misspelt(data: bytes, random: Random) -> bytes:
    """Changes a text in one or two ways; a sixth of the time, damages its bytes instead."""
    if not random.randrange(6):
        return damaged(data, random)
    text = data.decode()
    for _ in range(random.choice((1, 1, 2))):
        text = random.choice(_TEXTS)(text, random)
    return random.choice(_ENCODED)(text) if not random.randrange(12) else text.encode("utf-8", "surrogatepass")


def _place(data: bytes, random: Random) -> int:
    """A position; half of the time near the beginning, where most formats say what follows."""
    return random.randrange(min(len(data), random.choice((64, 512, len(data), len(data)))) or 1)


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8)) if data else 0):
        changed[_place(data, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.choice((0, 1, random.randrange(len(data) + 1), len(data) - random.randrange(1, 16)))]


def _extreme(data: bytes, random: Random) -> bytes:
    at, new = _place(data, random), random.choice(_EXTREMES)
    return data[:at] + new + data[at + len(new) :]


def _block(data: bytes, random: Random) -> tuple[int, int]:
    at = _place(data, random)
    return at, at + random.choice((1, 4, 16, 256))


def _repeat(data: bytes, random: Random) -> bytes:
    at, end = _block(data, random)
    return data[:end] + data[at:end] * random.choice((1, 3)) + data[end:]


def _drop(data: bytes, random: Random) -> bytes:
    at, end = _block(data, random)
    return data[:at] + data[end:]


def _insert(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + random.randbytes(random.choice((1, 2, 16, 300))) + data[at:]


def _swap(data: bytes, random: Random) -> bytes:
    size = random.choice((1, 4, 64))
    first, second = sorted((_place(data, random), _place(data, random)))
    if second - first < size:
        return _flip(data, random)
    end = second + size
    return data[:first] + data[second:end] + data[first + size : second] + data[first : first + size] + data[end:]


def _noise(data: bytes, random: Random) -> bytes:
    at, end = _block(data, random)
    return data[:at] + random.randbytes(len(data[at:end])) + data[end:]


_BYTES = [_flip, _flip, _flip, _cut, _extreme, _extreme, _extreme, _repeat, _drop, _insert, _swap, _noise]


def _replace(pattern: str, text: str, new: str, random: Random) -> str:
    found = list(re.finditer(pattern, text))
    if not found:
        return text + new
    one = random.choice(found)
    return text[: one.start()] + new + text[one.end() :]


def _number(text: str, random: Random) -> str:
    return _replace(r"(?<![\w.])-?\d[\d.]*", text, random.choice(_NUMBERS), random)


def _word(text: str, random: Random) -> str:
    return _replace(r"[A-Za-z_]\w*", text, random.choice(_WORDS), random)


def _value(text: str, random: Random) -> str:
    """Replaces all that follows a colon, up to the end of the line or the next comma."""
    return _replace(r"(?<=: )[^,\n]+", text, random.choice(_NUMBERS + _WORDS), random)


def _nest(text: str, random: Random) -> str:
    return _replace(r"[\w.]+", text, random.choice(_NESTED), random)


def _sign(text: str, random: Random) -> str:
    new = random.choice(
        ["", "{", "}", "[", "]", ":", ",", '"', "'", "#", "&a ", "*a", "!!python/object:os.system ", "\t"]
    )
    return _replace(r"[^\w\s]", text, new, random)


def _line(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines) or 1)
    how = random.choice(("twice", "gone", "moved", "indented", "key"))
    if how == "twice":
        lines[at:at] = lines[at : at + 1]
    elif how == "gone":
        del lines[at : at + 1]
    elif how == "moved":
        lines[at : at + 2] = reversed(lines[at : at + 2])
    elif how == "indented":
        lines[at : at + 1] = [f" {line}" for line in lines[at : at + 1]]
    else:
        lines.insert(at, random.choice(('"more": 1,\n', "more: 1\n", "more { a: 1 }\n")))
    return "".join(lines)


_TEXTS = [_number, _number, _number, _word, _value, _value, _nest, _sign, _line, _line]

_ENCODED = [
    lambda text: b"",
    lambda text: b"\xef\xbb\xbf" + text.encode("utf-8", "replace"),
    lambda text: text.encode("utf-16", "replace"),
    lambda text: text.replace("e", "\u00e9").encode("latin-1", "replace"),
    lambda text: text.replace("\n", "\r\n").encode("utf-8", "replace"),
    lambda text: text.encode("utf-8", "replace") + b"\0" * 100,
]
