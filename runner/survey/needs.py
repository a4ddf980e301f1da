"""What the steps of a plan need, from what a survey has found and the speeds that are known."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from floodrunner.runner import machine
from floodrunner.runner.pipeline.plan import Plan
from floodrunner.runner.survey import estimate, speeds
from floodrunner.runner.survey.before import Before
from floodrunner.runner.survey.estimate import Estimate
from floodrunner.runner.survey.speeds import Speed


def estimates(before: Before, measured: Mapping[str, Speed] | None = None) -> list[Estimate]:
    """What each step that has to run needs; none if the survey has found nothing.

    Args:
      measured: speeds that may not have been kept, in the form of `speeds.known`.
    """
    costs = before.report.costs
    if not costs:
        return []
    devices = {step: before.device(step) for step in costs}
    return estimate.estimate(before.steps, costs, devices, speeds.known() | dict(measured or {}))


def free(plan: Plan) -> int:
    """Free bytes on the disk of the run folder, which need not be there yet."""
    there = next(path for path in (plan.workdir, *plan.workdir.parents) if path.exists())
    return shutil.disk_usage(there).free


def warnings(before: Before, found: Sequence[Estimate]) -> list[str]:
    """What is probably too little: a line for each."""
    limits = {each.step: (before.options(each.step).memory_gb or 0) * 1e9 or machine.memory() for each in found}
    return estimate.warnings(found, limits, free(before.plan))
