"""Prints a step's log, and, on request, the lines added to it while the run is in progress.

A stage writes the log: control characters in it are printed as their codes and do nothing to the terminal.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from pathlib import Path

from floodrunner.contract.job import LOG_FILE
from floodrunner.runner import words
from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import open_own
from floodrunner.runner.workdir.lock import holder

_POLL_S, _BLOCK = 0.3, 1 << 20


def print_log(workdir: Path, folder: Path, follow: bool) -> None:
    """Prints the log in a step's folder.

    Args:
      follow: keep printing new lines until the run ends.

    Raises:
      UserError: if there is no log, and no run in progress that could write one, or if the log is not a plain file.
    """
    log = folder / LOG_FILE
    while not os.path.lexists(log):
        if not (follow and holder(workdir) is not None):
            raise UserError(
                f"{log}: there is no log, because step {folder.name} has not run; see floodrunner status {workdir}"
            )
        time.sleep(_POLL_S)
    # A block may end inside a character. Progress bars go back to the start of their line, which becomes a new line.
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    with open_own(log, "rb") as file:
        while True:
            alive = follow and holder(workdir) is not None
            while block := file.read(_BLOCK):
                sys.stdout.write(words.shown_lines(decoder.decode(block)))
            sys.stdout.flush()
            if not alive:
                return
            time.sleep(_POLL_S)
