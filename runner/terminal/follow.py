"""Prints a step's log, and what is added to it while the run goes on."""

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
    """Raises UserError if the step has no log yet, and nothing is running that would write one."""
    log = folder / LOG_FILE
    while not log.exists():
        if not (follow and holder(workdir) is not None):
            raise UserError(f"{log}: there is no log: step {folder.name} has not run; see floodrunner status {workdir}")
        time.sleep(_POLL_S)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a block may end inside a letter
    with open(log, "rb") as file:
        while True:
            alive = follow and holder(workdir) is not None
            while block := file.read(_BLOCK):
                sys.stdout.write(decoder.decode(block))
            sys.stdout.flush()
            if not alive:
                return
            time.sleep(_POLL_S)
