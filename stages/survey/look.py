"""Goes through the steps of a plan, hands on the heads of their outputs, and collects what they would refuse."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from floodrunner.contract.job import Job
from floodrunner.contract.stage import Context, InputError
from floodrunner.contract.survey import Cost, Finding, PlannedStep, Report, Work
from floodrunner.stages.survey import heads
from floodrunner.stages.survey.heads import Head

T = TypeVar("T", bound=Head)


class Listener(Context):
    """The context that the checks of a stage are called with: what they tell the user becomes remarks."""

    def __init__(self, planned: PlannedStep, inputs: Mapping[str, str]) -> None:
        self.said: list[str] = []
        job = Job(step=planned.step, stage=planned.stage, params={}, inputs=dict(inputs), outputs={}, state="")
        super().__init__(job, io.StringIO())

    def message(self, text: str) -> None:
        self.said.append(text)

    def emit(self, event: str, **fields: Any) -> None:
        return None


class Look:
    """A look at one step.

    Attributes:
      paths: port -> path, for the ports whose data is there already.
      context: what checks of the stage are called with.
      problems: what the stage would refuse.
      cost: what the step needs; None if nothing was said.
    """

    def __init__(self, planned: PlannedStep, paths: Mapping[str, str], known: Mapping[str, Head]) -> None:
        self.planned = planned
        self.paths = {port: paths[source] for port, source in planned.sources.items() if source in paths}
        self.context = Listener(planned, self.paths)
        self.problems: list[str] = []
        self.cost: Cost | None = None
        self._known = known

    def head(self, port: str, kind: type[T]) -> T | None:
        """The head of an input; None if it is not known, or is of another kind."""
        found = self._known.get(self.planned.sources.get(port, ""))
        return found if isinstance(found, kind) else None

    def name(self, port: str) -> str:
        """How messages name an input: its path if it is there already, else the output that it will be."""
        return self.paths.get(port) or self.planned.sources.get(port, port)

    @contextlib.contextmanager
    def checks(self) -> Iterator[None]:
        """Keeps an InputError that is raised inside this block, which it ends."""
        try:
            yield
        except InputError as error:
            self.problems.append(str(error))

    def needs(self, memory: float, disk: float, work: Work, less_memory: str = "") -> None:
        """Says what the step needs, in bytes, and what the user can change so that it needs less memory."""
        self.cost = Cost(memory=float(memory), disk=float(disk), work=work, less_memory=less_memory)


def survey(steps: Sequence[PlannedStep], paths: Mapping[str, str]) -> Report:
    """Surveys a plan. A mistake of the survey itself ends the look at one step, and is written to standard error.

    Args:
      steps: in the order in which they run.
      paths: `inputs.<name>` or `<step>.<port>` -> path, for what is there already.
    """
    known: dict[str, Head] = {}
    report = Report()
    for planned in steps:
        try:
            made = _of_done(planned, paths) if planned.done else _of_step(planned, paths, known, report)
        except Exception:  # a fault of ours here must not stop a run whose steps may well succeed
            traceback.print_exc()
            continue
        known.update({f"{planned.step}.{port}": head for port, head in made.items()})
    return report


def _of_done(planned: PlannedStep, paths: Mapping[str, str]) -> dict[str, Head]:
    """The heads of what a finished step has made."""
    found = {}
    for port, kind in planned.outputs.items():
        if (path := paths.get(f"{planned.step}.{port}")) is not None:
            with contextlib.suppress(InputError):  # the step that reads it refuses it
                if (head := heads.of_file(kind, path)) is not None:
                    found[port] = head
    return found


def _of_step(planned: PlannedStep, paths: Mapping[str, str], known: dict[str, Head], report: Report) -> dict[str, Head]:
    """Surveys one step; returns the heads of what it will make."""
    name = f"{__package__}.{planned.stage.replace('-', '_')}"
    if importlib.util.find_spec(name) is None:
        return {}
    look = Look(planned, paths, known)
    _read_given(look, known)
    stage = importlib.import_module(f"{str(__package__).rpartition('.')[0]}.{planned.stage.replace('-', '_')}")
    made: dict[str, Head] = importlib.import_module(name).survey(stage.Params.parse(planned.params), look)
    report.problems.extend(Finding(step=planned.step, text=text) for text in dict.fromkeys(look.problems))
    report.remarks.extend(Finding(step=planned.step, text=text) for text in dict.fromkeys(look.context.said))
    if look.cost is not None:
        report.costs[planned.step] = look.cost
    return made


def _read_given(look: Look, known: dict[str, Head]) -> None:
    """Reads the heads of files from the user that a port takes as they are: a volume, a model. Adds them to `known`."""
    for port, source in look.planned.sources.items():
        kinds = look.planned.takes.get(port, ())
        if not source.startswith("inputs.") or source in known or not set(kinds) <= heads.READABLE:
            continue
        with look.checks():
            if (head := heads.of_file(kinds[0], look.paths[port])) is not None:
                known[source] = head
