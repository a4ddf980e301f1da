"""Damaged files of each format: they are read, or refused in one line. `make fuzz` reads more of them.

A failure names the mutant; `python -m tests.fuzz FORMAT NUMBER` reads that one again and leaves its files.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.fuzz.damage import damaged, misspelt
from tests.fuzz.formats import FORMATS
from tests.fuzz.pool import Reader, fault

_MUTANTS = 60
_FEWER = {"pipeline": 25, "run-records": 15, "saved-state": 30}  # slower than the others
pytestmark = pytest.mark.xdist_group("fuzz")  # all in one worker: what reads them is started once


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    found = Reader(tmp_path_factory.mktemp("fuzz"))
    yield found
    found.close()


@pytest.mark.parametrize("name", sorted(FORMATS, key=lambda name: FORMATS[name].network))  # TensorFlow is loaded last
def test_damaged_files_are_read_or_refused_in_one_line(name: str, reader: Reader) -> None:
    kind = FORMATS[name]
    told = {number: reader.read(kind, number) for number in range(_FEWER.get(name, _MUTANTS) + 1)}
    assert told[0]["code"] == 0, told[0]
    faults = {number: fault(each) for number, each in told.items()}
    assert {number: wrong for number, wrong in faults.items() if wrong} == {}
    assert any(each["code"] == 2 for each in told.values())


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        ({"code": 3, "text": "KeyError: 'a'"}, "exit code 3"),
        ({"code": 2, "text": ""}, "without a word"),
        ({"code": 2, "text": "a\x1b[31m"}, "not one plain line"),
        ({"code": 0, "text": "", "said": ["a\nb"]}, "not one plain line"),
        ({"code": 2, "text": "a" * 5000}, "a line of 5000 characters"),
        ({"code": 0, "text": "", "seconds": 100}, "took 100 s"),
        ({"code": 0, "text": ""}, ""),
        ({"code": 2, "text": "x.h5: is truncated; copy it again"}, ""),
    ],
)
def test_what_counts_as_a_fault(told: dict[str, object], wrong: str) -> None:
    found = fault({"said": [], "seconds": 0.1, "file": "x", **told})
    assert wrong in found
    assert bool(found) == bool(wrong)


def test_a_number_makes_the_same_mutant_each_time() -> None:
    for change in (damaged, misspelt):
        made = [change(b'{"a": 1, "b": [2, 3]}\n' * 20, Random(7)) for _ in range(2)]
        assert made[0] == made[1]
        assert len({change(b'{"a": 1}\n' * 9, Random(seed)) for seed in range(50)}) > 30
