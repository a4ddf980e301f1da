"""Reads YAML without its traps, and keeps the line of every value.

Values follow the core schema of YAML 1.2 (`1e-3` is a number; `on` and `1:30` are text), read from PyYAML's events.
Ambiguous values (`010`, `1_000`, `.inf`) stay text, so that a typed field refuses them and says what to write. Repeated
keys, anchors, aliases, merge keys and tags are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from floodrunner.runner.errors import UserError
from floodrunner.runner.words import cut, quoted

YamlPath = tuple[str | int, ...]

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_DEEPEST, _LONGEST_NUMBER = 50, 300

_HINTS = (
    (r"'\\t' that cannot start", "indent with spaces, not with a tab"),
    (r"mapping values are not allowed", "put text that holds ': ' in quotes, or check the indentation"),
    (r"could not find expected ':'", "write key: value, with a space after the colon"),
    (r"expected <block end>|did not find expected", "check the indentation"),
    (r"expected ',' or", "close the bracket, and separate its values by commas"),
    (r"unexpected end of stream", 'close the quotes that open here; \\" does not end them'),
    (r"escape", "write the text in single quotes: backslashes are plain there"),
    (r"cannot start any token", "put the text in quotes"),
)


@dataclass(frozen=True)
class Document:
    """A YAML value, with the line of each part.

    Attributes:
      source: the file or the option that the value was read from.
      text: the whole text.
      name: what messages call it, if that is not `source`.
      lines: path of a value (keys and indices) -> line of its key, from 1.
      texts: path of a plain number, true, false or null -> its text.
    """

    source: str
    text: str
    value: Any
    lines: dict[YamlPath, int] = field(default_factory=dict)
    texts: dict[YamlPath, str] = field(default_factory=dict)
    name: str = ""

    def at(self, path: YamlPath) -> str:
        """`file:line` of the value at `path`; if there is none, of the innermost value that should contain it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name or self.source}:{self.lines.get(path, 1)}"


def load(path: Path) -> Document:
    """Reads a file with one YAML document.

    Raises:
      UserError: if the file cannot be read, is not YAML, or holds one of the refused constructs.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; floodrunner pipelines lists the pipelines that are shipped") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a pipeline file in it") from None
    except PermissionError:
        raise UserError(f"{path}: cannot be read by this user; change its permissions") from None
    return parse(data, str(path))


def parse_value(text: str, source: str) -> Document:
    """Reads the value of an option (`--set train.max_steps=1000`) by the same rules. Raises UserError like `load`."""
    if not text.strip():
        raise UserError(f"{source}: has no value; write a value after the =, or null for no value")
    document = parse(text.encode("utf-8", "surrogateescape"), source)
    return Document(source, text, document.value, {}, document.texts)


def parse(data: bytes, source: str) -> Document:
    """Reads one YAML document from bytes. Raises UserError like `load`."""
    document = Document(source, "", None)
    try:
        events = _events(data, source)
        next(events)  # start of stream
        event = next(events)
        if isinstance(event, yaml.StreamEndEvent):
            raise UserError(f"{source}: is empty; a pipeline has a name and steps")
        event = next(events)
        value = _read(event, events, document, ())
        next(events)  # end of document
        following = next(events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise UserError(
                f"{_place(source, following)}: a second document starts here; a file holds only one document"
            )
    except yaml.reader.ReaderError as error:
        where = f"at byte {error.position}" if isinstance(error.position, int) else ""
        raise UserError(f"{source}: is not plain UTF-8 text {where}".rstrip() + "; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise UserError(_syntax_trouble(error, source)) from None
    return Document(source, data.decode("utf-8", "replace"), value, document.lines, document.texts)


def plain_scalar(text: str) -> Any:
    """The value of an unquoted scalar: None, a bool, an int, a float, or the text itself."""
    if text.lower() in _WORDS and text in {text.lower(), text.title(), text.upper()}:
        return _WORDS[text.lower()]
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def _events(data: bytes, source: str) -> Iterator[yaml.Event]:
    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        where = _place(source, event)
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{where}: found the alias {quoted(f'*{anchor}')}; write the value itself")
        if anchor:
            raise UserError(
                f"{where}: found the anchor {quoted(f'&{anchor}')}; write the value itself where it is used"
            )
        if tag:
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise UserError(f"{where}: found the tag {quoted(tag)}; remove it: the type follows from the value")
        yield event


def _read(event: yaml.Event, events: Iterator[yaml.Event], document: Document, path: YamlPath) -> Any:
    """Reads the value that starts with `event`, and stores its line in `document`."""
    where = _place(document.source, event)
    document.lines.setdefault(path, _line(event))
    if len(path) > _DEEPEST:
        raise UserError(f"{where}: brackets or indentation are more than {_DEEPEST} levels deep; use fewer levels")
    if isinstance(event, yaml.ScalarEvent):
        value = plain_scalar(event.value) if event.implicit[0] else event.value
        if isinstance(value, float) and math.isinf(value):
            raise UserError(f"{where}: the number {cut(event.value, 60)} is too large; write a smaller one")
        if not isinstance(value, str):
            document.texts[path] = event.value
        return value
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_read(event, events, document, (*path, len(items))))
        return items
    mapping: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _key(event, document)
        if key in mapping:
            first = document.lines[(*path, key)]
            where = _place(document.source, event)
            raise UserError(f"{where}: the key {quoted(key)} occurs twice (first in line {first}); remove one")
        document.lines[(*path, key)] = _line(event)
        mapping[key] = _read(next(events), events, document, (*path, key))
    return mapping


def _key(event: yaml.Event, document: Document) -> str:
    where = _place(document.source, event)
    if not isinstance(event, yaml.ScalarEvent):
        raise UserError(f"{where}: found a list or mapping as a key; a key is a word")
    if event.value == "<<" and event.implicit[0]:
        raise UserError(f"{where}: found the merge key '<<'; write the values themselves")
    if event.value == "":
        raise UserError(f"{where}: found an empty key; write a word before the colon")
    return str(event.value)


def _syntax_trouble(error: yaml.MarkedYAMLError, source: str) -> str:
    problem = error.problem or error.context or "cannot be read"
    mark = error.problem_mark or error.context_mark
    if "unexpected end of stream" in problem:  # the opening quotes are a better hint than the end of the file
        mark = error.context_mark
    where = _at_line(source, mark.line + 1 if mark else 1)
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, problem)), "check this line and the one before")
    return f"{where}: is not YAML: {problem}; {hint}"


def _place(source: str, event: yaml.Event) -> str:
    return _at_line(source, _line(event))


def _at_line(source: str, line: int) -> str:
    """`file:line`; only the source if this is an option, which has no lines."""
    return source if source.startswith("--") else f"{source}:{line}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
