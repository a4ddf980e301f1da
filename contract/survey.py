"""What a survey is given and what it reports: a look at the heads of a pipeline's inputs before its first step."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

STAGE, SPEED_STAGE = "-survey", "-speed"
"""Names by which a job starts the survey and the measurement of networks: `stages/_survey.py`, `stages/_speed.py`."""

REPORT = "report.json"
"""Name of the file that either writes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PlannedStep(_Strict):
    """A step of the plan.

    Attributes:
      params: all parameters, in the form that `StageParams.parse` reads.
      sources: port -> `inputs.<name>` or `<step>.<port>`.
      takes: input port -> the kinds that it takes.
      outputs: port -> kind.
      done: whether the step is skipped, so that its outputs can be read.
    """

    step: str
    stage: str
    params: dict[str, Any]
    sources: dict[str, str]
    takes: dict[str, tuple[str, ...]]
    outputs: dict[str, str]
    done: bool


class Finding(_Strict):
    """One line about a step, without its name."""

    step: str
    text: str


class Network(_Strict):
    """A network whose speed can be measured.

    Attributes:
      kind: `ffn` or `unet`.
      settings: what defines the network, as the class `NetworkSpec` of its kind takes it.
      shape: size of its input: batch, z, y, x or batch, y, x.
      trains: whether steps of gradient descent are counted, not calls of the network.
    """

    kind: str
    settings: dict[str, Any]
    shape: tuple[int, ...]
    trains: bool


class Work(_Strict):
    """How much a step has to do.

    Attributes:
      least, most: bounds of the amount, in `unit`; the same if it is known.
      speed: name of the speed; works of the same name take the same time for a unit on the same machine.
      rough: units a second on two processor cores, for a machine on which nothing is known; None if it varies too much.
      metric: metric of the running step that tells the speed; "" if its progress does.
      network: the network whose calls or training steps are counted; None if there is none.
      per_call: units in one call or training step of it.
      may_end_early: whether the step may end before all is done, as training does that no longer gets better.
    """

    least: float
    most: float
    unit: str
    speed: str
    rough: float | None = None
    metric: str = ""
    network: Network | None = None
    per_call: float = 1
    may_end_early: bool = False


class Cost(_Strict):
    """What a step needs: peak memory and disk in bytes, and its work.

    Attributes:
      less_memory: what the user can change so that it needs less memory: `a smaller box_xyz`; "" if nothing.
    """

    memory: float = Field(ge=0)
    disk: float = Field(ge=0)
    work: Work | None = None
    less_memory: str = ""


class Report(_Strict):
    """What a survey has found.

    Attributes:
      problems: what would stop the run, in the words of the step that it would stop.
      remarks: what the user should know.
      costs: step -> what it needs. Steps are missing of which too little is known.
    """

    problems: list[Finding] = []
    remarks: list[Finding] = []
    costs: dict[str, Cost] = {}


class Speeds(_Strict):
    """What a measurement has found.

    Attributes:
      speeds: name of a speed -> calls or training steps a second.
      hurried: the names of which only a first call was measured, in which the network was also compiled.
    """

    speeds: dict[str, float] = {}
    hurried: tuple[str, ...] = ()
