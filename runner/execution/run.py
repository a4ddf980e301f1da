"""Runs a plan: step by step, each in its own process; what was done before and has not changed is skipped."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from contract.codes import DONE, FAILED, INTERRUPTED, STATUS
from contract.job import EVENTS_FILE, LOG_FILE, PARTIAL, STATE
from contract.ports import port_file
from runner import __version__, words
from runner.engines.base import Engine, Exit, Job, Running
from runner.errors import StepFailed, UserError
from runner.execution import folders, skip
from runner.execution.report import at_start, close, save_hashes, status_of
from runner.execution.setting import Run, Setting
from runner.execution.skip import Contents, Decision
from runner.execution.verdict import judge
from runner.fingerprint import content
from runner.fingerprint.content import Cache
from runner.pipeline.plan import FORCED, Plan, Step
from runner.stop import Stop
from runner.terminal import display
from runner.terminal.display import Display
from runner.workdir import events, records
from runner.workdir.events import Begun, Progress, Tail
from runner.workdir.files import open_own, remove, sweep
from runner.workdir.lock import lock
from runner.workdir.names import HASHES_FILE
from runner.workdir.publish import open_run_folder, publish, set_state_aside, withdraw
from runner.workdir.records import Artifact, Parts, StepRecord

_POLL_S = 0.1
_SAY_READING_AFTER_S = 2.0


class _Adopted(NamedTuple):
    """A stage taken over from a runner that was killed, and when and where in its events it began."""

    running: Running
    begun: Begun


def run(setting: Setting) -> dict[str, Any]:
    """Runs what has to run; returns `run.json` when all steps are done.

    Raises:
      UserError: if the run folder is in use or holds something else.
      StepFailed: if a step was not done.
      Interrupted: if it was stopped; the stage has saved its state.
      OSError: if a disk is in the way; finished steps are kept.
    """
    plan = setting.plan
    with Stop().listening() as stop:
        open_run_folder(plan.workdir, plan.name)
        with lock(plan.workdir, " ".join(setting.command)):
            run = Run(setting, Contents(plan, Cache(plan.workdir / HASHES_FILE)), Display([]), stop)
            _read_inputs(run)
            run.report = at_start(run)
            run.save()
            with display.make([step.id for step in plan.steps]) as run.show:
                try:
                    for line in [engine(setting), *_unasked(run)]:
                        run.show.note(line)
                    for step in plan.steps:
                        run.contents.learn(step, _step(run, step))
                    _end_orphans(run)
                except BaseException as error:
                    with contextlib.suppress(OSError):  # a full disk: that is being said already
                        close(run, status_of(error), str(error))
                    raise
                close(run, STATUS[DONE])
            return run.report


def engine(setting: Setting) -> str:
    """Where steps run, and why there: `engine local (docker: ...)`."""
    return f"engine {setting.engine_name}" + (f" ({setting.engine_reason})" if setting.engine_reason else "")


def decisions(plan: Plan, engine: Engine, root: Path, contents: Contents | None = None) -> dict[str, Decision]:
    """What a run would do now, step by step. Changes nothing.

    Args:
      contents: what is known of the inputs already; what is found out goes there.
    """
    contents = contents or Contents(plan, Cache(plan.workdir / HASHES_FILE))
    found = {}
    for step in plan.steps:
        found[step.id] = skip.decide(step, contents, engine.identity(step.gpu), root)
        done = records.read_step(plan.folder(step.id))
        if found[step.id].runs is False and done is not None:
            contents.learn(step, done)
    return found


def _unasked(run: Run) -> list[str]:
    setting = run.setting
    if not any(step.again for step in setting.plan.steps):
        return []
    return skip.unasked(setting.plan, decisions(setting.plan, setting.engine, setting.root, run.contents))


def _step(run: Run, step: Step) -> StepRecord:
    """Runs or skips one step; returns its record."""
    setting, folder = run.setting, run.setting.plan.folder(step.id)
    identity = setting.engine.identity(step.gpu)
    decision = skip.decide(step, run.contents, identity, setting.root)
    former = records.read_step(folder)
    if not decision.runs and former is not None:
        run.show.skipped(step.id, decision.reason)
        run.report["steps"][step.id].update(status="skipped", reason=decision.reason)
        return former
    parts = skip.parts(step, run.contents, identity, setting.root)
    job = setting.plan.job(step, parts.program(), parts.fingerprint())
    _end_orphans(run, but=step.id)  # of steps that are skipped now, or that need what this one makes
    if not step.again:
        with run.stop.shielded():  # so that Ctrl-C from here on stops the adopted stage too
            adopted = _adopt(run, job)
            if adopted is not None:
                return _work(run, step, parts, job, adopted, decision.reason)
    _end_orphans(run)
    _prepare(run, step, job)
    with run.stop.shielded():
        return _work(run, step, parts, job, None, decision.reason)


def _work(run: Run, step: Step, parts: Parts, job: Job, adopted: _Adopted | None, reason: str) -> StepRecord:
    """Has the stage do its work, and publishes what it made."""
    before = 0.0 if adopted is None else time.time() - adopted.begun.time
    started, clock = records.stamp(time.time() - before), time.monotonic() - before
    run.note(step, status="running", reason=reason, started=started)
    run.show.started(step.id, reason if adopted is None else f"goes on in {adopted.running.name}")
    code, text, done = FAILED, "", None
    try:
        progress, exit = _attempt(run, job, f"{started} {' '.join(run.setting.command)}", adopted)
        seconds = round(time.monotonic() - clock, 3)
        code, text = judge(exit, progress, run.stop.count > 0, job)
        if code == DONE:
            done = _publish(run, step, parts, progress, started, seconds)
    finally:
        if done is None:  # what it wrote may be what filled the disk
            with contextlib.suppress(OSError):
                remove(job.folder / PARTIAL)
        shown = "done" if done else "stopped" if code == INTERRUPTED else "failed"
        run.show.finished(step.id, shown, time.monotonic() - clock)
    with contextlib.nullcontext() if done else contextlib.suppress(OSError):  # what failed first is what counts
        run.note(step, status=STATUS[code], ended=records.now(), seconds=seconds, message=text)
    if done is None:
        if code == INTERRUPTED:
            run.stop.check()
        raise StepFailed(code, f"step {step.id}: {text}")
    return done


def _end_orphans(run: Run, but: str = "") -> None:
    """Ends and removes the orphans of a run folder's steps, except those of one step."""
    for orphan in folders.orphans(run.setting.plan.workdir):
        if orphan.step != but:
            if orphan.at_work:
                run.show.note(f"{orphan.step}: stopping {orphan.name} of a run that was killed")
            folders.reclaim(run.setting.plan.folder(orphan.step))


def _adopt(run: Run, job: Job) -> _Adopted | None:
    """Takes over the orphan that does this very job, if there is one."""
    begun = events.last_begun(job.folder / EVENTS_FILE)
    if begun is None or not (job.folder / PARTIAL).is_dir():
        return None
    orphans = run.setting.engine.orphans(run.setting.plan.workdir)
    adopted = (orphan.adopt(job) for orphan in orphans if orphan.step == job.step)
    running = next((each for each in adopted if each is not None), None)
    return None if running is None else _Adopted(running, begun)


def _prepare(run: Run, step: Step, job: Job) -> None:
    """Makes the step's folder ready for a try: what a former one left half done goes, its state stays."""
    job.folder.mkdir(exist_ok=True)
    folders.reclaim(job.folder)
    sweep(job.folder)
    if job.gpu and (reason := run.setting.engine.no_gpu()):
        run.show.note(f"{reason}: {job.step} will run on the CPU, which is slower (floodrunner doctor says more)")
    if step.again:
        withdraw(job.folder)  # should this try be cut off, the next run goes on with it
    if step.again == FORCED and (aside := set_state_aside(job.folder)):
        run.show.note(f"{step.id}: its former state is kept in {words.here(aside)}")
    if (job.folder / STATE).is_symlink():
        raise UserError(f"{job.folder / STATE}: is a link, not a folder of ours; remove it and run again")
    remove(job.folder / PARTIAL)
    (job.folder / PARTIAL).mkdir()
    (job.folder / STATE).mkdir(exist_ok=True)


def _attempt(run: Run, job: Job, title: str, adopted: _Adopted | None) -> tuple[Progress, Exit]:
    """Starts the stage, or follows the adopted one, until its end; shows what it reports and passes on Ctrl-C."""
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
            for event in tail.new():
                run.show.event(job.step, event)
            if exit is None and run.stop.count > asked:
                asked = run.stop.count
                if asked == 1:
                    run.show.note(f"{job.step}: stopping, saving its state; Ctrl-C again kills it")
                    running.stop()
                else:
                    running.kill()
    finally:
        running.close()
    return progress, exit


def _publish(run: Run, step: Step, parts: Parts, progress: Progress, started: str, seconds: float) -> StepRecord:
    """Moves what the step made to its place, and writes its record."""
    folder, cache = run.setting.plan.folder(step.id), run.contents.cache
    partial = folder / PARTIAL
    names = sorted(os.listdir(partial))
    files = content.measure(content.files(partial, names), cache)
    done = StepRecord(
        step=step.id,
        parts=parts,
        names=names,
        files=files,
        ports={port: content.of_port(port_file(port, kind), files) for port, kind in step.stage.outputs.items()},
        metrics=progress.results,
        artifacts=[_from_step_folder(artifact) for artifact in progress.artifacts],
        started=started,
        ended=records.now(),
        seconds=seconds,
        engine=run.setting.engine_name,
        host=run.report["host"],
        floodrunner=__version__,
    )
    publish(folder, done)
    for name in progress.spent:
        with contextlib.suppress(OSError):
            (folder / STATE / name).unlink()
    return done


def _from_step_folder(artifact: Artifact) -> Artifact:
    """The stage names it from where its outputs were written, which may also be the state beside them."""
    path = os.path.relpath(os.path.join(PARTIAL, artifact.path), PARTIAL)
    if path.startswith(os.pardir):
        path = os.path.normpath(os.path.join(PARTIAL, artifact.path))
    return Artifact(path=path, title=artifact.title)


def _read_inputs(run: Run) -> None:
    """Hashes the user's inputs, before anything starts."""
    plan = run.setting.plan
    timer = threading.Timer(_SAY_READING_AFTER_S, run.show.note, ["reading the inputs, to know when they change"])
    timer.daemon = True
    timer.start()
    try:
        for name in plan.inputs:
            run.contents.of(f"inputs.{name}")
    finally:
        timer.cancel()
    save_hashes(run)
