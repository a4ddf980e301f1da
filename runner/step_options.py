"""The options of a step: what a pipeline file says about a step besides its stage, ports and parameters."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StepOptions(BaseModel):
    """Options of a step.

    A field added here is read from the pipeline file, kept in `run.json` and `step.json`, compared when the runner
    decides whether the step has to run again, listed in the reference, and handed to the engine with the job.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    gpu: bool = False
    """whether the step uses a GPU, if the machine has one"""
