from __future__ import annotations

import pytest
from pydantic import ValidationError

from floodrunner.runner.workdir.records import Parts

WRITTEN = {
    "stage": "statistics",
    "code": {"stages/statistics.py": "1a2b"},
    "params": {},
    "engine": {"engine": "local"},
    "gpu": True,
    "inputs": {"volume": "3c4d"},
}


def test_options_stand_beside_the_other_parts() -> None:
    parts = Parts.model_validate(WRITTEN)
    assert parts.gpu
    assert parts.model_dump(mode="json") == WRITTEN


def test_a_record_of_another_version_is_read_with_other_options() -> None:
    """One may lack an option, which then has its default, or have one that is not known here."""
    fewer = {name: value for name, value in WRITTEN.items() if name != "gpu"}
    assert not Parts.model_validate(fewer).gpu
    assert Parts.model_validate({**WRITTEN, "new_option": 3}) == Parts.model_validate(WRITTEN)


def test_a_record_without_its_stage_is_refused() -> None:
    with pytest.raises(ValidationError, match="stage"):
        Parts.model_validate({name: value for name, value in WRITTEN.items() if name != "stage"})


def test_program_and_fingerprint() -> None:
    """Code and engine make the program; everything makes the fingerprint."""
    parts = Parts.model_validate(WRITTEN)
    data = parts.model_copy(update={"inputs": {"volume": "5e6f"}})
    assert data.program() == parts.program()
    assert data.fingerprint() != parts.fingerprint()
    code = parts.model_copy(update={"code": {"stages/statistics.py": "9f9f"}})
    assert code.program() != parts.program()
