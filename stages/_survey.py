"""Looks at the heads of a pipeline's inputs before its first step: `python -m floodrunner.stages FOLDER`.

It is no stage of a pipeline: the runner starts it for `plan` and `run`. It reads no pixels.
"""

from __future__ import annotations

from floodrunner.contract.stage import Context, StageParams
from floodrunner.contract.survey import PlannedStep

OUTPUTS = {"report": "metrics"}


class Params(StageParams):
    steps: tuple[PlannedStep, ...]
    """The steps of the plan, in order."""


def run(params: Params, context: Context) -> None:
    from floodrunner.stages.survey.look import survey

    report = survey(params.steps, context.inputs)
    context.outputs["report"].write_text(report.model_dump_json(), encoding="utf-8")
