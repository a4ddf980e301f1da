"""A run: what it was asked to do, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.engines.base import Engine
from runner.execution.skip import Contents
from runner.pipeline.plan import Plan, Step
from runner.pipeline.spec import Pipeline
from runner.stop import Stop
from runner.terminal.display import Display
from runner.workdir.files import write_json
from runner.workdir.names import RUN_FILE


@dataclass(frozen=True)
class Setting:
    """All that a run needs besides its plan: where steps run, and what is recorded about it."""

    pipeline: Pipeline
    plan: Plan
    engine_name: str
    engine: Engine
    engine_reason: str
    root: Path
    command: list[str]


@dataclass
class Run:
    """A run at work; `report` is `run.json`."""

    setting: Setting
    contents: Contents
    show: Display
    stop: Stop
    report: dict[str, Any] = field(default_factory=dict)

    def save(self) -> None:
        write_json(self.setting.plan.workdir / RUN_FILE, self.report)

    def note(self, step: Step, **facts: Any) -> None:
        self.report["steps"][step.id].update(facts)
        self.save()
