"""Inputs that stand for many: `images=data/*/raw` means each file or folder that fits."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from floodrunner.contract.ports import is_harmless, split_dataset
from floodrunner.runner import words, wsl
from floodrunner.runner.errors import UserError

Key = tuple[str, ...]
"""What the wildcards of a pattern stand for, in order. Wildcards that touch, as in `[0-9]?*`, count as one."""

_WILDCARD = re.compile(r"[*?]|\[!?\]?[^\]/]*\]")


@dataclass(frozen=True)
class Fit:
    """Files and folders that belong together.

    Attributes:
      inputs: each input with a pattern -> one path.
      parts: the same input -> the parts of that path, between slashes, for which the pattern has wildcards.
    """

    key: Key
    inputs: dict[str, str]
    parts: dict[str, tuple[str, ...]]


def is_pattern(path: str) -> bool:
    """Whether a path has wildcards: `*`, `?`, `[...]` or `**`. A file that really has such a name is no pattern."""
    return _WILDCARD.search(_file(path)) is not None and not os.path.lexists(_file(path))


def fits(patterns: Mapping[str, str]) -> list[Fit]:
    """Finds what patterns stand for. Several patterns are paired by what their wildcards stand for.

    Hidden files, and what file managers leave, fit only a pattern that names them.

    Args:
      patterns: name of an input -> pattern.

    Returns:
      One for each key, sorted.

    Raises:
      UserError: if a pattern fits nothing, or something has no partner; names it.
    """
    found = {name: _matches(name, pattern) for name, pattern in patterns.items()}
    keys = {key for matches in found.values() for key in matches}
    alone = [
        f"{matches[key]} ({name})"
        for key in sorted(keys)
        for name, matches in found.items()
        if key in matches and any(key not in others for others in found.values())
    ]
    if alone:
        raise UserError(
            f"{_options(patterns)}: these have no partner, because what the wildcards stand for is not the same: "
            f"{words.listed(alone)}; rename or remove them, or write patterns that leave them out"
        )
    return [
        Fit(
            key,
            {name: matches[key] for name, matches in found.items()},
            {name: _parts(patterns[name], matches[key]) for name, matches in found.items()},
        )
        for key in sorted(keys)
    ]


def _parts(pattern: str, path: str) -> tuple[str, ...]:
    fit = _form(_file(pattern).rstrip("/"), whole=True).fullmatch(split_dataset(path)[0])
    return tuple((group or "").strip("/") for group in fit.groups()) if fit else ()


def _matches(name: str, pattern: str) -> dict[Key, str]:
    """What fits one pattern: key -> path, with the dataset that the pattern names."""
    file, dataset = _file(pattern), split_dataset(pattern)[1]
    form = _form(file.rstrip("/"))
    found = {}
    for path in sorted(glob.iglob(file, recursive=True)):
        plain = path.rstrip("/")
        fit = form.fullmatch(plain)
        if fit and not is_harmless(os.path.basename(plain)):
            key = tuple((group or "").strip("/") for group in fit.groups())
            found[key] = plain if dataset is None else f"{plain}:{dataset}"
    if not found:
        where = "" if os.path.isabs(file) else f" (seen from the current folder, {os.getcwd()})"
        raise UserError(f"--input {name}={pattern}: nothing fits this pattern{where}; correct it")
    return found


def _file(path: str) -> str:
    """The file part of a path that the user wrote, in the form of this system."""
    return wsl.here(os.path.expanduser(split_dataset(path)[0]))


def _form(pattern: str, whole: bool = False) -> re.Pattern[str]:
    """The regular expression of a pattern, with a group for each wildcard.

    Args:
      whole: make the groups of the parts between slashes that have wildcards.
    """
    parts = pattern.split("/")
    text = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            text += "(.*)" if last else "((?:[^/]+/)*)"
        else:
            form = _form_of_part(part, "", "") if whole else _form_of_part(part, "(", ")")
            text += (f"({form})" if whole and _WILDCARD.search(part) else form) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _form_of_part(part: str, begin: str, end: str) -> str:
    """The regular expression of a part; `begin` and `end` stand around its wildcards."""
    text, at, open_group = "", 0, False
    while at < len(part):
        wildcard = _WILDCARD.match(part, at)
        if (wildcard is not None) != open_group:
            text, open_group = text + (end if open_group else begin), not open_group
        if wildcard is None:
            text += re.escape(part[at])
            at += 1
            continue
        text += _regex_of(wildcard[0])
        at = wildcard.end()
    return text + (end if open_group else "")


def _regex_of(wildcard: str) -> str:
    if wildcard in ("*", "?"):
        return {"*": "[^/]*", "?": "[^/]"}[wildcard]
    inside = re.sub(r"([\\\[&~|^])", r"\\\1", wildcard[1:-1].removeprefix("!"))
    return f"[{'^' if wildcard[1] == '!' else ''}{inside}]"


def _options(patterns: Mapping[str, str]) -> str:
    return " ".join(f"--input {name}={pattern}" for name, pattern in patterns.items())
