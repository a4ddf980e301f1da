"""Prints a step's log, and, on request, the lines added to it while the run is in progress."""

from __future__ import annotations

import codecs
import sys
import time
from pathlib import Path

from contract.job import LOG_FILE
from runner.errors import UserError
from runner.workdir.lock import holder

_POLL_S, _BLOCK = 0.3, 1 << 20


def print_log(workdir: Path, folder: Path, follow: bool) -> None:
    """Prints the log in a step's folder.

    Args:
      follow: keep printing new lines until the run ends.

    Raises:
      UserError: if there is no log, and no run in progress that could write one.
    """
    log = folder / LOG_FILE
    while not log.exists():
        if not (follow and holder(workdir) is not None):
            raise UserError(
                f"{log}: there is no log, because step {folder.name} has not run; see floodrunner status {workdir}"
            )
        time.sleep(_POLL_S)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a block may end inside a character
    with open(log, "rb") as file:
        while True:
            alive = follow and holder(workdir) is not None
            while block := file.read(_BLOCK):
                sys.stdout.write(decoder.decode(block))
            sys.stdout.flush()
            if not alive:
                return
            time.sleep(_POLL_S)
