"""The results of a run, from the records in its folder: times, metrics, conclusions and files worth opening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from floodrunner.contract.job import EVENTS_FILE, LOG_FILE
from floodrunner.runner import words
from floodrunner.runner.engines.base import Orphan
from floodrunner.runner.errors import UserError
from floodrunner.runner.terminal.display import Line
from floodrunner.runner.workdir import records
from floodrunner.runner.workdir.events import Start, Tail
from floodrunner.runner.workdir.lock import holder
from floodrunner.runner.workdir.names import is_inside
from floodrunner.runner.workdir.progress import Progress
from floodrunner.runner.workdir.records import Mark, StepRecord

_RUN_AGAIN = "; run again to continue"
_MOST_SHOWN = 20  # metrics, conclusions, and files, of a step
_LONGEST_NAME, _LONGEST_SENTENCE = 200, 300
_ENDED = ("done", "skipped", "waiting")
_MOST_PICTURES = 3  # named when a step ends
_PICTURE = ".png"  # every picture that stages make to be looked at


def results(workdir: Path, steps: list[str], marks: Mapping[str, Mark] | None = None) -> list[str]:
    """Lines with the metrics and conclusions of finished steps, and with the files worth opening.

    Args:
      marks: the steps whose results are out of date; all their lines say so.
    """
    figures, pictures = [], []
    for step in steps:
        done = records.read_step(workdir / step)
        if done is None:
            continue
        mark = marks[step].short if marks and step in marks else ""
        if done.metrics or done.conclusions:
            names = (words.cut(each, _LONGEST_NAME) for each in words.metrics(done.metrics))
            named = f"{step} ({mark})" if mark else step
            figures.append(f"  {named}: {words.listed([*names], _MOST_SHOWN)}".rstrip())
            figures += [f"    {words.cut(each, _LONGEST_SENTENCE)}" for each in done.conclusions[:_MOST_SHOWN]]
        artifacts = [each for each in done.artifacts if is_inside(each.path)]
        for artifact in artifacts[:_MOST_SHOWN]:
            said = "; ".join(each for each in (mark, words.cut(artifact.title, _LONGEST_NAME)) if each)
            pictures.append(f"  {words.here(workdir / step / artifact.path)}{f'  ({said})' if said else ''}")
        if len(artifacts) > _MOST_SHOWN:
            pictures.append(f"  and {len(artifacts) - _MOST_SHOWN} more of {step}")
    return (["Results:", *figures] if figures else []) + (["Look at:", *pictures] if pictures else [])


def pictures(folder: Path, done: StepRecord) -> list[str]:
    """A line for each picture that a step has just made, so that nobody has to wait for the end of the run to look.

    Args:
      folder: the step's folder.
    """
    titles = {each.path: each.title for each in done.artifacts if each.path.endswith(_PICTURE) and is_inside(each.path)}
    return [
        f"{done.step}: look at {words.here(folder / path)}" + (f" ({words.cut(title, _LONGEST_NAME)})" if title else "")
        for path, title in list(titles.items())[:_MOST_PICTURES]
    ]


def of_run(workdir: Path, steps: list[str], seconds: float, ran: list[str]) -> list[str]:
    """The closing lines of a run.

    Args:
      seconds: duration of the run.
      ran: the steps that were not skipped.
    """
    times = []
    for step in steps:
        done = records.read_step(workdir / step)
        if done is not None and step in ran:
            times.append(f"{step} {words.duration(done.seconds)}")
    if ran:
        head = f"Done in {words.duration(seconds)}: {', '.join(times)}. Everything is in {words.here(workdir)}"
    else:
        head = f"Nothing to do: nothing changed since the last run. Everything is in {words.here(workdir)}"
    return [head, *results(workdir, steps)]


def status(
    workdir: Path,
    run: dict[str, Any],
    orphans: Sequence[Orphan] = (),
    marks: Mapping[str, Mark] | None = None,
) -> list[str]:
    """Lines for `floodrunner status`: the process that runs the pipeline, the state of each step, the results.

    Args:
      orphans: stages of a killed runner that still run.
      marks: the steps whose results are out of date.
    """
    held = holder(workdir)
    steps: dict[str, dict[str, Any]] = run.get("steps", {})
    lines = [f"{run['pipeline']['name']} in {words.here(workdir)}: {_state(run, held)}"]
    lines += [f"  {each.step} is still running in {each.name}; the next run takes it over" for each in orphans]
    width = max((len(step) for step in steps), default=0)
    for step, facts in steps.items():
        line = f"  {step:{width}}  {_step(workdir / step, facts, held is not None)}"
        if marks and step in marks:  # the line of a step that did not end tells what happened
            if facts["status"] in _ENDED:
                line += f", {marks[step]}"
            elif results(workdir, [step]):
                line += "; its result below is an earlier one"
        lines.append(line)
    return lines + results(workdir, list(steps), marks)


def _state(run: dict[str, Any], held: dict[str, Any] | None) -> str:
    if held:
        since = records.local_time(held["since"])
        return f"running since {since} (process {held['pid']} on {held['host']})"
    if held is not None:
        return "running"
    if run["status"] == "running":  # nobody holds the lock, so the run was killed
        return f"was killed (started {records.local_time(run['started'])}); run again to continue"
    return f"{run['status']} {records.local_time(run['ended'])}"


def _step(folder: Path, facts: dict[str, Any], held: bool) -> str:
    done, last = records.read_step(folder), facts["status"]
    if last == "running" and held:
        return ", ".join(["running", *_progress(folder)])
    if last == "running":
        return f"was killed (started {records.local_time(facts['started'])})"
    if last in ("failed", "bad-input", "bug"):
        return f"failed {records.local_time(facts['ended'])}: {facts['message']} (log: {words.here(folder / LOG_FILE)})"
    if last == "interrupted":
        said = facts["message"].removesuffix(_RUN_AGAIN) or "stopped"
        return f"{said}, {records.local_time(facts['ended'])}{_RUN_AGAIN}"
    if done is not None:
        return f"done {records.local_time(done.ended)} in {words.duration(done.seconds)}"
    return "waiting" if held else "not run"


def _progress(folder: Path) -> list[str]:
    line = Line(folder.name, progress=Progress())
    try:
        for event in Tail(folder / EVENTS_FILE).rest():
            if isinstance(event, Start):
                line.progress = Progress()
            line.progress.take(event)
    except UserError as error:  # a stage has put something else there
        return [str(error)]
    return line.facts()
