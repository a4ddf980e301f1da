"""What several commands use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from floodrunner.runner.errors import UserError


def folder_of(workdir: str) -> Path:
    """The folder that `--workdir` names, which need not exist. Raises UserError if there can be no such folder."""
    from floodrunner.runner import wsl

    try:
        return wsl.folder(workdir)
    except UserError as error:
        raise UserError(f"--workdir: {error}") from None


def say(lines: Sequence[str], err: bool = False) -> None:
    """Prints lines, without the control characters that a stage or the name of a file brought into them.

    Args:
      err: print to standard error, beside what a program may read from standard output.
    """
    from floodrunner.runner import words

    for line in lines:
        click.echo(words.shown(line), err=err)
