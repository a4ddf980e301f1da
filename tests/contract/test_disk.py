"""Errors of a disk as messages, where the current folder is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.contract.disk import disk_trouble
from floodrunner.runner import words


def test_a_current_folder_that_is_removed_during_a_run_breaks_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert words.here(tmp_path / "run") == str(tmp_path / "run")
    error = FileNotFoundError(2, "No such file or directory")
    assert disk_trouble(error, "the run folder") == (
        "the run folder: no such file or directory; the folder that held this file was removed or renamed during the "
        "run; run again"
    )
    monkeypatch.chdir(tmp_path)
