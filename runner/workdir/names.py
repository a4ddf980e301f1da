"""Names of the runner's own files in a run folder."""

from __future__ import annotations

from contract.job import EVENTS_FILE, JOB_FILE, LOG_FILE, PARTIAL, STATE

RUN_FILE, LOCK_FILE, HASHES_FILE = "run.json", ".lock", ".hashes.json"
"""In the run folder."""

STEP_FILE, NEXT_FILE, NAMES_FILE = "step.json", ".next.json", ".names.json"
"""In a step's folder: its record; the record of a result that is being published; names of files of any result."""

OURS = frozenset({JOB_FILE, EVENTS_FILE, LOG_FILE, STEP_FILE, PARTIAL, STATE})
"""Names in a step's folder that a stage may not publish under."""
