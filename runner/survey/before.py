"""A plan before its first step: what a survey of its inputs has found, and what would stop the run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from floodrunner.contract.survey import Report
from floodrunner.runner.engines.base import Engine
from floodrunner.runner.errors import Collected, UserError
from floodrunner.runner.pipeline.plan import Plan
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.survey import ask, speeds
from floodrunner.runner.survey.ask import NoAnswer


@dataclass
class Before:
    """A plan, and what a survey has found.

    Attributes:
      steps: those that have to run.
      report: empty if no step of the plan that has to run can be surveyed.
      trouble: why the survey failed, in one line; "" if it did not.
    """

    plan: Plan
    engine_name: str
    engine: Engine
    root: Path
    steps: list[str] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    trouble: str = ""

    def look(self, done: Collection[str]) -> None:
        """Has the survey look at the inputs of the steps that are not `done`. Never raises an error of the survey."""
        to_run = [step for step in self.plan.steps if step.id not in done]
        self.steps = [step.id for step in to_run]
        if not any(map(ask.has_module, to_run)):
            return
        try:
            self.report = ask.survey(self.plan, self.engine, self.root, done)
        except NoAnswer as error:
            self.trouble = f"the inputs were not looked at before the first step: {error}"

    def check(self) -> None:
        """Raises UserError with all that would stop the run."""
        wrong = Collected()
        for each in self.report.problems:
            with wrong.check():
                raise UserError(f"step {each.step}: {each.text}")
        wrong.close()

    def options(self, step: str) -> StepOptions:
        """The settings of a step for the engine."""
        return next(each.options for each in self.plan.steps if each.id == step)

    def device(self, step: str) -> str:
        """What a step computes with, as speeds are kept by it."""
        return speeds.device(self.engine_name, self.engine, self.options(step))
