"""The traps of YAML are closed, and every value knows its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import yamlfile


def value(text: str) -> object:
    return yamlfile.parse(text.encode(), "p.yaml").value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E6", 1e6),
        ("+.5", 0.5),
        ("-12", -12),
        ("3.", 3.0),
        ("0x1F", 31),
        ("0o17", 15),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        # What YAML 1.1 turns into something else stays what was written.
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("tRUE", "tRUE"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("010", "010"),
        ("08", "08"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        (".inf", ".inf"),
        ("-.INF", "-.INF"),
        (".nan", ".nan"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("2024-01-31", "2024-01-31"),
        ("2024-01-31 10:00:00", "2024-01-31 10:00:00"),
        ("=", "="),
        ("'1'", "1"),
        ('"true"', "true"),
    ],
)
def test_scalars(text: str, expected: object) -> None:
    found = value(f"a: {text}\n")
    assert found == {"a": expected}
    assert type(found["a"]) is type(expected)  # type: ignore[index]


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12))
def test_every_number_that_python_writes_is_read_back(number: float) -> None:
    found = yamlfile.plain_scalar(repr(number))
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "p.yaml:3: the key 'a' occurs twice (first in line 1); remove one"),
        ("a: {b: 1, b: 2}\n", "p.yaml:1: the key 'b' occurs twice (first in line 1); remove one"),
        ("a: &x 1\nb: *x\n", "p.yaml:1: found the anchor '&x'; write the value itself where it is used"),
        ("a: 1\nb: *x\n", "p.yaml:2: found the alias '*x'; write the value itself"),
        ("a:\n  <<: {b: 1}\n", "p.yaml:2: found the merge key '<<'; write the values themselves"),
        ("a: !!int '3'\n", "p.yaml:1: found the tag '!!int'; remove it: the type follows from the value"),
        ("a: !x 3\n", "p.yaml:1: found the tag '!x'; remove it: the type follows from the value"),
        ("a: 1\n---\nb: 2\n", "p.yaml:2: a second document starts here; a file holds only one document"),
        ("? [a]\n: 1\n", "p.yaml:1: found a list or mapping as a key; a key is a word"),
        ("'': 1\n", "p.yaml:1: found an empty key; write a word before the colon"),
        ("a: 1e999\n", "p.yaml:1: the number 1e999 is too large; write a smaller one"),
        ("a:\n\tb: 1\n", "found character '\\t' that cannot start any token; indent with spaces, not with a tab"),
        ("a: b: c\n", "p.yaml:1: is not YAML: mapping values are not allowed here; put text that holds ': ' in quotes"),
        ("a: [1, 2\n", "close the bracket, and separate its values by commas"),
        ("a: 1\nb: 'x\n", "p.yaml:2: is not YAML: found unexpected end of stream; close the quotes that open here"),
        (
            'a: "C:\\temp\\"\n',
            r"p.yaml:1: is not YAML: found unexpected end of stream; close the quotes that open here; \" does not",
        ),
        ('a: "C:\\data"\n', "found unknown escape character 'd'; write the text in single quotes"),
        ("a: @x\n", "found character '@' that cannot start any token; put the text in quotes"),
        ("a: x\nfoo\nb: 1\n", "could not find expected ':'; write key: value, with a space after the colon"),
        ("", "p.yaml: is empty; a pipeline has a name and steps"),
        ("# nothing\n", "p.yaml: is empty; a pipeline has a name and steps"),
        ("[" * 3000, "p.yaml:1: brackets or indentation are more than 50 levels deep; use fewer levels"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        value(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"a: \xff\xfe", b"a: \x00", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match=r"^p\.yaml: is not plain UTF-8 text at byte \d+; save it as UTF-8$"):
        yamlfile.parse(data, "p.yaml")


def test_a_windows_editor_is_no_trouble() -> None:
    assert yamlfile.parse(b"\xef\xbb\xbfa: 1\r\nb: \xc2\xb5\r\n", "p").value == {"a": 1, "b": "µ"}


def test_lines() -> None:
    document = yamlfile.parse(b"# head\na:\n  b: 1e6\n  c:\n    - x\n    - {d: 2}\n", "p.yaml")
    assert document.at(("a",)) == "p.yaml:2"
    assert document.at(("a", "b")) == "p.yaml:3"
    assert document.at(("a", "c", 1, "d")) == "p.yaml:6"
    assert document.at(("a", "c", "no such")) == "p.yaml:4"
    assert document.texts["a", "b"] == "1e6"


def test_value_of_an_option() -> None:
    assert yamlfile.parse_value("{start: [0, 0, 0], size: [64, 64, 32]}", "--set").value == {
        "start": [0, 0, 0],
        "size": [64, 64, 32],
    }
    with pytest.raises(
        UserError, match=r"^--set a\.b=: has no value; write a value after the =, or null for no value$"
    ):
        yamlfile.parse_value("", "--set a.b=")
    with pytest.raises(UserError, match=r"^--set a\.b=\*x: found the alias '\*x'; write the value itself$"):
        yamlfile.parse_value("*x", "--set a.b=*x")
    with pytest.raises(UserError, match=r"^--set a\.b=\[1: is not YAML: .*; close the bracket"):
        yamlfile.parse_value("[1", "--set a.b=[1")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file; floodrunner pipelines lists"):
        yamlfile.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder; name a pipeline file in it"):
        yamlfile.load(tmp_path)
