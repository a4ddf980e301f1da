"""The JSON files that stages hand each other: what is not as a stage wrote it is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.json_files import read_json


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    depth: Annotated[int, Field(ge=1, le=100)]
    rate: Annotated[float, Field(allow_inf_nan=False)] = 0.5
    names: list[str] = []


def refusal(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_json(path, Settings, "train again")
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("; train again")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 200
    return message.removeprefix(f"{path}: ").removesuffix("; train again")


def test_what_a_stage_wrote_is_read(tmp_path: Path) -> None:
    for text in ('{"depth": 4}', '\ufeff{"depth": 4, "rate": 1}', '{\r\n"depth": 4,\r\n"names": ["é"]}'):
        (tmp_path / "a.json").write_text(text, encoding="utf-8")
        assert read_json(tmp_path / "a.json", Settings, "").depth == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("depth: 4", "is not JSON: expecting value in line 1"),
        ('{"depth": 4', "is not JSON: expecting ',' delimiter in line 1"),
        ("[4]", "found [4]; input should be an object"),
        ("{}", "depth is missing"),
        ('{"depth": 4, "width": 3}', "width is not a key that a stage writes"),
        ('{"depth": 4, "\\u001b[31m": 3}', "'\\x1b[31m' is not a key that a stage writes"),
        ('{"depth": 4, "depth": 5}', "the key 'depth' occurs twice"),
        ('{"depth": 100000}', "depth: found 100000; input should be less than or equal to 100"),
        ('{"depth": 1.5}', "depth: found 1.5; input should be a valid integer"),
        ('{"depth": "4"}', "depth: found '4'; input should be a valid integer"),
        ('{"depth": true}', "depth: found True; input should be a valid integer"),
        ('{"depth": Infinity}', "Infinity is not a number"),
        ('{"depth": 4, "rate": NaN}', "NaN is not a number"),
        ('{"depth": 4, "rate": 1e400}', "rate: found inf; input should be a finite number"),
        ('{"depth": 4, "names": ["a", 7]}', "names.1: found 7; input should be a valid string"),
        (f'{{"depth": 1{"0" * 5000}}}', "holds a number of too many digits"),
        (f'{{"depth": 1{"0" * 400}}}', f"depth: found 1{'0' * 56}...; input should be less than or equal to 100"),
        ("[" * 100_000, "is not JSON that a stage writes: its brackets are nested too deeply"),
        ('{"depth": ' * 100_000, "is not JSON that a stage writes: its brackets are nested too deeply"),
        ('{"depth": 4}'.encode("utf-16"), "is not UTF-8 text"),
        (b'{"depth": "\xe9"}', "is not UTF-8 text"),
        ('{"depth": 4}' + " " * 2**20, "is larger than 1 MB"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_no_stage_writes_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in refusal(tmp_path / "a.json", text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.json", "no such file"), (tmp_path, "is a folder, not a file")):
        with pytest.raises(InputError, match=f"{words}; train again"):
            read_json(path, Settings, "train again")
