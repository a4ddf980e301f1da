"""Names of the runner's own files in a run folder."""

from __future__ import annotations

from contract.job import EVENTS_FILE, JOB_FILE, LOG_FILE, PARTIAL, STATE

RUN_FILE, LOCK_FILE, HASHES_FILE = "run.json", ".lock", ".hashes.json"
"""Names in the run folder: the record of the run, its lock, and the hashes of the inputs."""

STEP_FILE, NEXT_FILE, NAMES_FILE = "step.json", ".next.json", ".names.json"
"""Names in a step's folder: the step's record; the record of a result that is being published; the list of all files
that belong to any result of the step."""

OURS = frozenset({JOB_FILE, EVENTS_FILE, LOG_FILE, STEP_FILE, PARTIAL, STATE})
"""Names in a step's folder that a stage may not use for its outputs."""
