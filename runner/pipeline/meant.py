"""Guesses what a user meant by a value of the wrong type, to show what to write instead."""

from __future__ import annotations

import re
from typing import Any

from floodrunner.runner.pipeline.yamlfile import plain_scalar

_NUMBERS = {"a whole number", "a number"}


def hint(value: Any, wants: list[str]) -> str:
    """What the user probably meant, such as ` (here: 90)`, or ""."""
    if isinstance(value, float) and "a whole number" in wants and value.is_integer():
        return f" (here: {int(value)})"
    if "text" in wants and isinstance(value, bool | int | float):
        return ", in quotes"
    if "a list" in wants and (items := list_meant(value)):
        return f" (here: [{', '.join(map(str, items))}])"
    if not isinstance(value, str):
        return ""
    if "true or false" in wants and value.lower() in {"yes", "on", "y", "no", "off", "n", "true", "false"}:
        return f" (here: {'true' if value.lower() in {'yes', 'on', 'y', 'true'} else 'false'})"
    if _NUMBERS.isdisjoint(wants):
        return ""
    meant = _meant(value.strip())
    if "a number" not in wants and re.fullmatch(r"\d{1,3}(,\d{3})+", value.strip()):
        meant = int(value.replace(",", ""))
    if meant is None or ("a number" not in wants and isinstance(meant, float)):
        return ""
    octal = f", or {int(value, 8)} if it is octal" if re.fullmatch(r"0[0-7]+", value) else ""
    return f" (here: {meant}{octal})"


def list_meant(value: Any) -> list[int | float]:
    """The numbers of a list that was written as `4,4,30`, `4x4x30`, `4 4 30 nm`, `(4; 4; 30)` or `[4 4 30]`; else [].

    Only if there are several, because one number may be meant for each item, or be the only one so far.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        return []
    text = re.sub(r"(?<=[\d.])\s*nm\b", "", value.strip("[()] "))
    items = [_meant(each) for each in re.split(r"\s*[,;x×*]\s*|\s+", text)]
    return [each for each in items if each is not None] if len(items) > 1 and None not in items else []


def _meant(text: str) -> int | float | None:
    """The number meant by `1_000`, `1,000,000`, `010`, `1:30` (base 60), `1,5`, `10k`, `1M`, `40 nm` or `"3"`; None for
    other text."""
    if re.fullmatch(r"\d+(:[0-5]?\d)+", text):
        number = 0
        for part in text.split(":"):
            number = 60 * number + int(part)
        return number
    text = re.sub(r"(?<=\d)[_'](?=\d)", "", text)
    if re.search(r"[µup]m$|mm$|Å$", text):  # the number would be another one in nm
        return None
    if factor := re.fullmatch(r"([\d.,]+)\s*([kKM])", text):
        product = (_meant(factor[1]) or 0) * (1000 if factor[2] in "kK" else 1_000_000)
        return int(product) if float(product).is_integer() else product
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3}){2,}", text):  # one comma may also be a decimal one: 1,000
        text = text.replace(",", "")
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    text = re.sub(r"(?<=[\d.])\s*[a-df-zA-DF-Zµ%][\w%]*$", "", text)
    text = re.sub(r"^([-+]?)0+(?=\d)", r"\1", text)
    plain = plain_scalar(text)
    return plain if isinstance(plain, int | float) and not isinstance(plain, bool) else None
