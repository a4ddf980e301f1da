"""`job.json`, which the runner hands to a stage, and the names of what lies beside it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

JOB_FILE, EVENTS_FILE, LOG_FILE = "job.json", "events.jsonl", "log.txt"
PARTIAL, STATE = "partial", "state"


class Job(BaseModel):
    """`job.json`: one run of a stage. Paths are as the stage sees them (inside the container, under docker).

    `program` is a hash of the stage's code and of the versions that run it; another one may compute another result.
    With `gpu` the engine has given it a GPU: a stage that then sees none must not go on for days without.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    stage: str
    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]
    state: str
    program: str = ""
    gpu: bool = False


STEP = "STEP"
"""In what a stage says to the user, stands for the id of its step, which only the runner knows."""
