"""The options of a step: what a pipeline file says about a step besides its stage, ports and parameters."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DecidingOptions(BaseModel):
    """The options that can change a step's result.

    A field added here is also kept in `step.json`, and compared when the runner decides whether the step has to run
    again.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    gpu: bool = False
    """whether the step uses a GPU, if the machine has one"""


class StepOptions(DecidingOptions):
    """Options of a step.

    A field added here is read from the pipeline file, kept in `run.json`, listed in the reference, and handed to the
    engine with the job.
    """

    memory_gb: float | None = Field(None, ge=0.1, le=1e6)
    """most memory and swap that the step may use in a container, GB; null: 0.9 of the engine's memory, no swap"""
    processes: int | None = Field(None, ge=16, le=10**7)
    """most processes and threads that the step may run in a container; null: 1024, and 64 for each processor"""
