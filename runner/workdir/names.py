"""Names of the runner's own files in a run folder."""

from __future__ import annotations

import os

from floodrunner.contract.job import EVENTS_FILE, JOB_FILE, LOG_FILE, PARTIAL, STATE
from floodrunner.runner import words

RUN_FILE, LOCK_FILE, HASHES_FILE = "run.json", ".lock", ".hashes.json"
"""Names in the run folder: the record of the run, its lock, and the hashes of the inputs."""

STEP_FILE, NEXT_FILE, NAMES_FILE = "step.json", ".next.json", ".names.json"
"""Names in a step's folder: the step's record; the record of a result that is being published; the list of all files
that belong to any result of the step."""

OURS = frozenset({JOB_FILE, EVENTS_FILE, LOG_FILE, STEP_FILE, PARTIAL, STATE})
"""Names in a step's folder that a stage may not use for its outputs."""


def is_output(name: str) -> bool:
    """Whether a name can be that of a published file or folder: a single name, and none of the runner's.

    Names are read from records in a step's folder, where a stage could have written them, and then removed: a name
    that leads out of the folder must not count.
    """
    return is_inside(name) and "/" not in name and name not in OURS | {NEXT_FILE, NAMES_FILE}


def is_inside(path: str) -> bool:
    """Whether a path, relative to a step's folder, is plain text and names something in the folder."""
    return (
        os.path.normpath(path) == path
        and path != os.curdir
        and not os.path.isabs(path)
        and path.split("/")[0] != os.pardir
        and words.shown(path) == path
    )
