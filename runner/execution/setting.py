"""What a run was asked to do, and the state of a run in progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from floodrunner.runner.engines.base import Engine
from floodrunner.runner.execution.skip import Contents
from floodrunner.runner.fingerprint.content import Entries
from floodrunner.runner.pipeline.plan import Plan, Step
from floodrunner.runner.pipeline.spec import Pipeline
from floodrunner.runner.stop import Stop
from floodrunner.runner.survey.before import Before
from floodrunner.runner.terminal.display import Display
from floodrunner.runner.workdir.files import write_json
from floodrunner.runner.workdir.names import HASHES_FILE, RUN_FILE


@dataclass(frozen=True)
class Setting:
    """A plan, and where to carry it out.

    Attributes:
      engine_reason: why this engine was chosen, for messages; may be "".
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
      command: the command line, for `run.json`.
      replace: whether results of other data in the run folder may be overwritten.
      hashes: of files that were read before, in the form of `Cache.entries`.
    """

    pipeline: Pipeline
    plan: Plan
    engine_name: str
    engine: Engine
    engine_reason: str
    root: Path
    command: list[str]
    replace: bool = False
    hashes: Entries | None = None

    @property
    def engine_line(self) -> str:
        """The engine and the reason, as a run shows them: `engine local (docker: no Docker engine at ...)`."""
        return f"engine {self.engine_name}" + (f" ({self.engine_reason})" if self.engine_reason else "")


@dataclass
class Run:
    """A run in progress.

    Attributes:
      before: what a look at the inputs has found.
      report: the content of `run.json`.
    """

    setting: Setting
    contents: Contents
    show: Display
    stop: Stop
    before: Before
    report: dict[str, Any] = field(default_factory=dict)

    def note(self, step: Step, **facts: Any) -> None:
        """Adds facts about a step to `run.json`."""
        self.report["steps"][step.id].update(facts)
        self.save()

    def save(self) -> None:
        """Writes `run.json`."""
        write_json(self.setting.plan.workdir / RUN_FILE, self.report)

    def save_hashes(self) -> None:
        """Writes the hashes of the inputs, if there are new hashes."""
        if (entries := self.contents.cache.entries()) is not None:
            write_json(self.setting.plan.workdir / HASHES_FILE, entries)
