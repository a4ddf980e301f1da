"""Runs a plan step by step. A step is skipped if its result would be the same as its recorded result."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from floodrunner.contract.codes import DONE, FAILED, INTERRUPTED, STATUS
from floodrunner.contract.job import EVENTS_FILE, LOG_FILE, PARTIAL, STATE
from floodrunner.runner import words
from floodrunner.runner.engines.base import Exit, Job, Running
from floodrunner.runner.errors import StepFailed, UserError
from floodrunner.runner.execution import belonging, folders, looking, skip
from floodrunner.runner.execution.report import at_start, close, in_words, result_of, status_of
from floodrunner.runner.execution.result import publish_result
from floodrunner.runner.execution.setting import Run, Setting
from floodrunner.runner.execution.skip import Contents
from floodrunner.runner.execution.verdict import judge
from floodrunner.runner.fingerprint.content import Cache
from floodrunner.runner.pipeline.plan import FORCED, Step
from floodrunner.runner.stop import Stop
from floodrunner.runner.survey import learning
from floodrunner.runner.terminal import display, summary
from floodrunner.runner.terminal.display import Display
from floodrunner.runner.workdir import events, records
from floodrunner.runner.workdir.events import Begun, Event, Message, Tail
from floodrunner.runner.workdir.files import open_own, remove, sweep
from floodrunner.runner.workdir.lock import lock
from floodrunner.runner.workdir.names import HASHES_FILE
from floodrunner.runner.workdir.progress import Progress
from floodrunner.runner.workdir.publish import open_run_folder, set_state_aside, withdraw
from floodrunner.runner.workdir.records import Parts, StepRecord

_POLL_S = 0.1
_SAY_READING_AFTER_S = 2.0
_MOST_MESSAGES = 200  # shown of those that arrive at once


def run(setting: Setting) -> dict[str, Any]:
    """Runs every step that has to run.

    Returns:
      The content of `run.json`, when all steps are done.

    Raises:
      UserError: if the run folder is in use, or holds anything but a run of this pipeline with these inputs, or an
        input is wrong.
      StepFailed: if a step failed.
      Interrupted: if the user stopped the run; the stage has saved its state.
      OSError: if a disk is full or cannot be written; finished steps are kept.
    """
    plan = setting.plan
    with Stop().listening() as stop:
        cache = Cache(plan.workdir / HASHES_FILE, more=setting.hashes)
        belonging.check(setting, Contents(plan, cache))  # as `plan` does, before the inputs are looked at
        before = looking.look(setting, cache)
        before.check()
        open_run_folder(plan.workdir, plan.name)
        with lock(plan.workdir, " ".join(setting.command)):
            run = Run(setting, Contents(plan, cache), Display({}), stop, before)
            replaced = _read_inputs(run)
            run.report = at_start(run)
            run.save()
            with display.make({step.id: step.stage.summary for step in plan.steps}) as run.show:
                try:
                    run.show.note(setting.engine_line)
                    for line in filter(None, (replaced, *looking.at_start(before), *_unasked(run))):
                        run.show.note(line)
                    for step in plan.steps:
                        run.contents.learn(step, _run_or_skip(run, step))
                    _end_orphans(run)
                except BaseException as error:
                    with contextlib.suppress(OSError):  # the disk may be full; `error` tells the user
                        close(run, status_of(error), in_words(error, plan.workdir))
                    raise
                close(run, STATUS[DONE])
            return run.report


def _read_inputs(run: Run) -> str:
    """Hashes the user's inputs before anything starts. Refuses a folder that holds results of other data.

    Returns:
      What `--replace` overwrites, for the user; "" if there is nothing to replace.
    """
    timer = threading.Timer(_SAY_READING_AFTER_S, run.show.note, ["reading the inputs, to detect changes in them"])
    timer.daemon = True
    timer.start()
    try:
        replaced = belonging.check(run.setting, run.contents)
        for name in run.setting.plan.inputs:
            run.contents.of(f"inputs.{name}")
    finally:
        timer.cancel()
    run.save_hashes()
    return replaced


def _unasked(run: Run) -> list[str]:
    """A line for each step that runs although --from or --force name only later steps."""
    setting = run.setting
    if not any(step.again for step in setting.plan.steps):
        return []
    return skip.unasked(setting.plan, skip.decisions(setting.plan, setting.engine, setting.root, run.contents))


def _run_or_skip(run: Run, step: Step) -> StepRecord:
    """Runs or skips one step; returns its record."""
    setting = run.setting
    identity = setting.engine.identity(step.options.gpu)
    decision = skip.decide(step, run.contents, identity, setting.root)
    former = records.read_step(setting.plan.folder(step.id))
    if not decision.runs and former is not None:
        run.show.skipped(step.id, decision.reason)
        run.report["steps"][step.id].update(status="skipped", reason=decision.reason, **result_of(former))
        return former
    parts = skip.parts(step, run.contents, identity, setting.root)
    job = setting.plan.job(step, parts.program(), parts.fingerprint())
    _end_orphans(run, but=step.id)  # the stages of steps that are now skipped, or that need this step's output
    if not step.again:
        with run.stop.shielded():  # from here on, a request to stop reaches the adopted stage
            if (adopted := _adopt(run, job)) is not None:
                return _carry_out(run, step, parts, job, decision.reason, adopted)
    _end_orphans(run)
    _prepare(run, step, job)
    with run.stop.shielded():
        return _carry_out(run, step, parts, job, decision.reason)


def _end_orphans(run: Run, but: str = "") -> None:
    """Stops and removes the stages that a killed runner left in the run folder, except a stage of the step `but`."""
    for orphan in folders.orphans(run.setting.plan.workdir):
        if orphan.step != but:
            if orphan.at_work:
                run.show.note(f"{orphan.step}: stopping {orphan.name} of a run that was killed")
            folders.reclaim(run.setting.plan.folder(orphan.step))


@dataclass(frozen=True)
class _Adopted:
    """A stage that a killed runner started and this runner takes over, and where its events begin in the file."""

    running: Running
    begun: Begun


def _adopt(run: Run, job: Job) -> _Adopted | None:
    """Takes over the stage of a killed runner that does exactly this job; None if there is no such stage."""
    orphans = [each for each in run.setting.engine.orphans(run.setting.plan.workdir) if each.step == job.step]
    begun = events.last_begun(job.folder / EVENTS_FILE) if orphans else None
    if begun is None or not (job.folder / PARTIAL).is_dir():
        return None
    adopted = (orphan.adopt(job) for orphan in orphans)
    running = next((each for each in adopted if each is not None), None)
    return None if running is None else _Adopted(running, begun)


def _prepare(run: Run, step: Step, job: Job) -> None:
    """Makes the step's folder ready: removes unfinished outputs of an earlier attempt, and keeps its state."""
    job.folder.mkdir(exist_ok=True)
    folders.reclaim(job.folder)
    sweep(job.folder)
    if job.options.gpu and (reason := run.setting.engine.no_gpu()):
        run.show.note(f"{reason}: {job.step} will run on the CPU, which is slower (floodrunner doctor says more)")
    for line in run.setting.engine.notes(job):
        run.show.note(line)
    if step.again:
        withdraw(job.folder)  # if this attempt is killed, the next run continues it
    if step.again == FORCED and (aside := set_state_aside(job.folder)):
        run.show.note(f"{step.id}: its previous state is kept in {words.here(aside)}")
    if (job.folder / STATE).is_symlink():
        raise UserError(
            f"{job.folder / STATE}: is a link, not a folder that Floodrunner made; remove the link and run again"
        )
    remove(job.folder / PARTIAL)
    (job.folder / PARTIAL).mkdir()
    (job.folder / STATE).mkdir(exist_ok=True)


def _carry_out(
    run: Run, step: Step, parts: Parts, job: Job, reason: str, adopted: _Adopted | None = None
) -> StepRecord:
    """Runs the stage, or waits for the adopted one, and publishes its result."""
    elapsed = 0.0 if adopted is None else time.time() - adopted.begun.time
    started, clock = records.stamp(time.time() - elapsed), time.monotonic() - elapsed
    run.note(step, status="running", reason=reason, started=started)
    run.show.started(step.id, reason if adopted is None else f"continues in {adopted.running.name}")
    code, text, done = FAILED, "", None
    try:
        progress, exit = _attempt(run, job, f"{started} {' '.join(run.setting.command)}", adopted)
        seconds = round(time.monotonic() - clock, 3)
        code, text = judge(exit, progress, run.stop.count > 0, job)
        if code == DONE:
            done = publish_result(run, step, parts, progress, started, seconds)
            learning.learn(run.before, step.id, progress, seconds)
        elif code == INTERRUPTED and text == "stopped" and (reached := run.show.lines[step.id].reached()):
            text = f"stopped at {reached}"
    finally:
        if done is None:  # these outputs may have filled the disk
            with contextlib.suppress(OSError):
                remove(job.folder / PARTIAL)
        shown = "done" if done else "stopped" if code == INTERRUPTED else "failed"
        run.show.finished(step.id, shown, time.monotonic() - clock)
    for line in summary.pictures(job.folder, done) if done else ():
        run.show.note(line)
    with contextlib.nullcontext() if done else contextlib.suppress(OSError):  # report the first error only
        result = result_of(done) if done else {}
        run.note(step, status=STATUS[code], ended=records.now(), seconds=seconds, message=text, **result)
    if done is None:
        if code == INTERRUPTED:
            run.stop.check()
        raise StepFailed(code, f"step {step.id}: {text}")
    return done


def _attempt(run: Run, job: Job, title: str, adopted: _Adopted | None) -> tuple[Progress, Exit]:
    """Starts the stage, unless one was adopted, and waits for its end.

    Meanwhile it shows what the stage reports, and passes on the user's requests to stop.
    """
    reported = job.folder / EVENTS_FILE
    if adopted is None:
        with open_own(job.folder / LOG_FILE, "ab") as log:
            log.write(f"--- {title}\n".encode("utf-8", "replace"))
        begin = events.begin(reported, title)
        running = run.setting.engine.start(job, run.setting.root)
    else:
        begin, running = adopted.begun.offset, adopted.running
    tail, progress, asked, exit = Tail(reported, begin), run.show.lines[job.step].progress, 0, None
    try:
        while exit is None:
            exit = running.wait(_POLL_S)
            _show(run, job.step, tail.new() if exit is None else tail.rest())
            if exit is None and run.stop.count > asked:
                asked = run.stop.count
                if asked == 1:
                    run.show.note(
                        f"{job.step}: stopping: the step saves its state if it has one (Ctrl-C again kills the step)"
                    )
                    running.stop()
                else:
                    running.kill()
    finally:
        running.close()
    return progress, exit


def _show(run: Run, step: str, reported: Iterable[Event]) -> None:
    """Shows events. Of a flood of messages only the first are shown."""
    messages = 0
    for event in reported:
        messages += isinstance(event, Message)
        if not isinstance(event, Message) or messages <= _MOST_MESSAGES:
            run.show.event(step, event)
    if messages > _MOST_MESSAGES:
        run.show.note(f"{step}: and {messages - _MOST_MESSAGES} more messages, which are in {EVENTS_FILE}")
