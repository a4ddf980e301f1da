"""`job.json`, which the runner writes for a stage, and the names of the files and folders beside it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

JOB_FILE, EVENTS_FILE, LOG_FILE = "job.json", "events.jsonl", "log.txt"
PARTIAL, STATE = "partial", "state"
"""Folders in a step's folder: the first holds outputs that are not finished yet, the second holds the state from which
a later attempt continues."""


class Job(BaseModel):
    """`job.json`: one run of a stage. Paths are as the stage sees them (under docker: inside the container).

    Attributes:
      step: id of the step in the pipeline, for messages that name it (`--force train`).
      stage: name of the stage, with dashes.
      params: all parameters, in the form that `StageParams.parse` reads.
      inputs: port -> path; a path from the user may also name a dataset (`image.h5:raw`).
      outputs: port -> path to write.
      state: folder for the stage's state. It is kept if the stage fails.
      program: hash of the stage's code and of the library versions. If this hash changes, the result may change.
      gpu: whether the engine provides a GPU. If true, a stage that finds no GPU must fail, and
        must not compute for days on a CPU.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    step: str
    stage: str
    params: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]
    state: str
    program: str = ""
    gpu: bool = False
