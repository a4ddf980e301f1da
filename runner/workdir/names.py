"""Names of the runner's own files in a run folder."""

from __future__ import annotations

from contract.job import EVENTS_FILE, JOB_FILE, LOG_FILE, PARTIAL, STATE

RUN_FILE, STEP_FILE, LOCK_FILE, HASHES_FILE = "run.json", "step.json", ".lock", ".hashes.json"
OURS = frozenset({JOB_FILE, EVENTS_FILE, LOG_FILE, STEP_FILE, PARTIAL, STATE})
"""Names in a step's folder that a stage may not publish under."""

NEXT_FILE, NAMES_FILE = ".next.json", ".names.json"
