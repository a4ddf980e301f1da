"""What `plan` and `run` do before the first step: look at the inputs, refuse what is wrong, estimate what is needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from floodrunner.contract.survey import Network, Report
from floodrunner.runner import machine
from floodrunner.runner.engines.base import Engine
from floodrunner.runner.errors import Collected, UserError
from floodrunner.runner.pipeline.plan import Plan
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.survey import ask, estimate, speeds
from floodrunner.runner.survey.ask import NoAnswer
from floodrunner.runner.survey.speeds import MEASURED, RUN, Speed
from floodrunner.runner.workdir.progress import Progress

Say = Callable[[str], object]


@dataclass
class Before:
    """A plan, and what a survey has found.

    Attributes:
      report: empty if no step of the plan that has to run can be surveyed.
      trouble: why the survey failed, in one line; "" if it did not.
    """

    plan: Plan
    engine_name: str
    engine: Engine
    root: Path
    report: Report = field(default_factory=Report)
    trouble: str = ""
    _measured: dict[str, Speed] = field(default_factory=dict)

    def look(self, done: Collection[str]) -> None:
        """Has the survey look at the inputs of the steps that are not `done`. Never raises an error of the survey."""
        if not any(step.id not in done and ask.has_module(step) for step in self.plan.steps):
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

    def measure(self, say: Say) -> None:
        """Measures the networks whose speed no earlier run or measurement has found. Ctrl-C ends it."""
        known = speeds.known()
        wanted: dict[bool, dict[str, Network]] = {}
        units: dict[str, float] = {}
        for step, cost in self.report.costs.items():
            work = cost.work
            if work is not None and work.network is not None and f"{self._device(step)}: {work.speed}" not in known:
                wanted.setdefault(self._options(step).gpu, {})[work.speed] = work.network
                units[work.speed] = work.per_call
        for gpu, networks in wanted.items():
            count = f"{len(networks)} networks" if len(networks) > 1 else "the network"
            say(f"measuring the speed of {count}, about {10 + 5 * len(networks)} s ...")
            try:
                found = ask.speeds(networks, self.engine, self.root, gpu)
            except NoAnswer as error:
                self.trouble = self.trouble or f"the speed was not measured: {error}"
                continue
            rates = {name: rate * units[name] for name, rate in found.items() if name in units and rate > 0}
            step = next(each.id for each in self.plan.steps if each.options.gpu == gpu)
            if not machine.is_busy():  # later plans would take the speed for that of the machine
                speeds.keep(self._device(step), rates, MEASURED)
            for name, rate in rates.items():
                self._measured[f"{self._device(step)}: {name}"] = Speed(rate=rate, how=MEASURED)

    def estimates(self) -> list[estimate.Estimate]:
        """What each step that has to run needs."""
        costs = self.report.costs
        devices = {step: self._device(step) for step in costs}
        return estimate.estimate(costs, devices, speeds.known(), self._measured)

    def free(self) -> int:
        """Free bytes on the disk of the run folder, which need not be there yet."""
        there = next(path for path in (self.plan.workdir, *self.plan.workdir.parents) if path.exists())
        return shutil.disk_usage(there).free

    def warnings(self) -> list[str]:
        """What is probably too little: a line for each."""
        found = self.estimates()
        limits = {each.step: (self._options(each.step).memory_gb or 0) * 1e9 or machine.memory() for each in found}
        return estimate.warnings(found, limits, self.free())

    def learn(self, step: str, progress: Progress, seconds: float) -> None:
        """Keeps the speed of a step that has just finished, for the estimates of later runs."""
        cost = self.report.costs.get(step)
        if cost is not None and cost.work is not None and (rate := speeds.of_step(cost.work, progress, seconds)):
            speeds.keep(self._device(step), {cost.work.speed: rate}, RUN)

    def _options(self, step: str) -> StepOptions:
        return next(each.options for each in self.plan.steps if each.id == step)

    def _device(self, step: str) -> str:
        return speeds.device(self.engine_name, self.engine, self._options(step))
