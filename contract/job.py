"""`job.json`, which the runner writes for a stage, and the names of the files and folders beside it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

JOB_FILE, EVENTS_FILE, LOG_FILE = "job.json", "events.jsonl", "log.txt"
PARTIAL, STATE = "partial", "state"
"""Folders in a step's folder: outputs that are not finished yet, and the state that a later try continues from."""


class Job(BaseModel):
    """`job.json`: one run of a stage. Paths are as the stage sees them (under docker: inside the container).

    Attributes:
      step: id of the step in the pipeline, for messages that name it (`--force train`).
      stage: name of the stage, with dashes.
      params: all parameters, as `StageParams.parse` takes them.
      inputs: port -> path; a path of the user's may carry a dataset (`image.h5:raw`).
      outputs: port -> path to write.
      state: folder that survives a failure.
      program: hash of the stage's code and of the library versions. Another program may compute another result.
      gpu: whether the engine provides a GPU. If the stage then finds none, it must fail, not compute for days on a CPU.
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
