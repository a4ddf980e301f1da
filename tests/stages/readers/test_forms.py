"""The words about one file, and its pixel form."""

from __future__ import annotations

from pathlib import Path

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.forms import FileError, damaged


def test_an_error_of_one_file_knows_the_file_and_what_is_wrong_with_it() -> None:
    error = FileError(Path("a/b.tif"), "holds nothing; copy it again")
    assert isinstance(error, InputError)
    assert str(error) == "a/b.tif: holds nothing; copy it again"
    assert (error.file, error.problem) == ("a/b.tif", "holds nothing; copy it again")
    assert damaged("b.tif").problem == damaged("c.tif").problem
