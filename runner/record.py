"""The files of a run folder: `run.json`, each step's `step.json`, and the lock. Written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.content import File
from runner.errors import UserError
from stages._contract import EVENTS_FILE, JOB_FILE, LOG_FILE, PARTIAL, STATE

RUN_FILE, STEP_FILE, LOCK_FILE, HASHES_FILE = "run.json", "step.json", ".lock", ".hashes.json"
OURS = frozenset({JOB_FILE, EVENTS_FILE, LOG_FILE, STEP_FILE, PARTIAL, STATE})
"""Names in a step's folder that a stage may not publish under."""

_NEXT_FILE, _NAMES_FILE = ".next.json", ".names.json"
_BESIDE = re.compile(r"\..+\.json\.\d+")  # what `write_json` writes first
_LOCK_TRIES, _LOCK_PAUSE_S = 10, 0.05


def now() -> str:
    """The time, UTC, to the second: `2026-01-31T12:00:00+00:00`."""
    return stamp(time.time())


def stamp(seconds: float) -> str:
    """A `time.time()` as `now` writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def local_time(stamp: str) -> str:
    """A time from a record, for people here: `2026-01-31 13:00:00`."""
    return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def write_json(path: Path, value: Any) -> None:
    """Writes beside its place, flushes to the disk, and renames: a reader never sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def open_own(path: Path, mode: str) -> IO[bytes]:
    """Opens a file of ours in a step's folder, where a step could put a link to any file of the user's instead.

    Raises:
      UserError: if it is a link.
    """
    try:
        return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path}: is a link, not a file of ours; remove it and run again") from None


def sweep(folder: Path) -> None:
    """Removes what a killed `write_json` left. Call it with the lock held: nobody else may be writing here."""
    for name in filter(_BESIDE.fullmatch, os.listdir(folder)):
        remove(folder / name)


class Artifact(BaseModel):
    """A file or folder that a person will want to open; `path` is relative to the step's folder."""

    model_config = ConfigDict(strict=True, frozen=True)

    path: str
    title: str


class Parts(BaseModel):
    """All that decides the result of a step.

    Attributes:
      code: path of a source file -> hash.
      engine: versions of what runs it, or the id of an image.
      inputs: port -> hash of its content.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    stage: str
    code: dict[str, str]
    params: dict[str, Any]
    engine: dict[str, str]
    gpu: bool
    inputs: dict[str, str]

    def program(self) -> str:
        """The hash of the code and of what runs it: a state that another program made is not blindly gone on from."""
        return hashlib.sha256(json.dumps([self.code, self.engine], sort_keys=True).encode()).hexdigest()

    def fingerprint(self) -> str:
        """The hash of all of it."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


class StepRecord(BaseModel):
    """`step.json`: a step that was done, and what it made.

    Attributes:
      names: what was published: names in the step's folder.
      files: published file, relative to the step's folder -> size, time of change, hash.
      ports: output port -> hash of its content.
      metrics: figures of the result, by name; None where it was no number.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    step: str
    parts: Parts
    names: list[str]
    files: dict[str, File]
    ports: dict[str, str]
    metrics: dict[str, float | None]
    artifacts: list[Artifact]
    started: str
    ended: str
    seconds: float
    engine: str
    host: dict[str, Any]
    floodrunner: str


def read_step(folder: Path) -> StepRecord | None:
    """The record of a step that was done; None if there is none, or it is another version's."""
    try:
        return StepRecord.model_validate_json((folder / STEP_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def read_json(path: Path) -> dict[str, Any] | None:
    """A record; None if it is not there, or damaged (which `write_json` cannot cause)."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def former_engine(workdir: Path, steps: Sequence[str]) -> str:
    """The engine that a run folder's steps have run in; where they differ, that of those which took longest.

    Where none is done, but one has a state to go on from, that of the run that made it; "" where there is nothing
    that another engine would do again.
    """
    seconds: dict[str, float] = {}
    for step in steps:
        if (done := read_step(workdir / step)) is not None:
            seconds[done.engine] = seconds.get(done.engine, 0) + done.seconds
    if seconds:
        return max(seconds, key=seconds.__getitem__)
    states = (workdir / step / STATE for step in steps)
    if not any(state.is_dir() and any(state.iterdir()) for state in states):
        return ""
    engine = (read_json(workdir / RUN_FILE) or {}).get("engine")
    return str(engine.get("name", "")) if isinstance(engine, dict) else ""


def set_state_aside(folder: Path) -> Path | None:
    """Moves a step's `state/` to the next free `state.1`, `state.2`, ...; returns where, None if there was none."""
    state = folder / STATE
    if not state.exists():
        return None
    number = 1
    while (aside := folder / f"{STATE}.{number}").exists():
        number += 1
    os.rename(state, aside)
    return aside


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def withdraw(folder: Path, more: Sequence[str] = ()) -> set[str]:
    """Removes a step's record: from now on it counts as not run. Its files stay, and so do their names.

    The names outlive the record in a file of their own: a try that is cut off may not make the same files again, and
    what nobody knows the name of would lie among the next result for ever.

    Args:
      more: names that are about to be published.

    Returns:
      All names that a result of this step has, or may have, in its folder; `more` included.
    """
    names = set(more)
    for file in (STEP_FILE, _NAMES_FILE):
        names.update((read_json(folder / file) or {}).get("names", []))
    write_json(folder / _NAMES_FILE, {"names": sorted(names)})
    remove(folder / STEP_FILE)
    return names


def publish(folder: Path, done: StepRecord) -> None:
    """Moves what a step made from `partial/` to its place, and removes what only a former try of it had made.

    All that needs room on the disk is written before anything of the former result is touched. In between, the step
    counts as not run.
    """
    write_json(folder / _NEXT_FILE, done.model_dump(mode="json"))
    for name in withdraw(folder, done.names):
        remove(folder / name)
    for name in done.names:
        os.rename(folder / PARTIAL / name, folder / name)
    os.rmdir(folder / PARTIAL)
    os.replace(folder / _NEXT_FILE, folder / STEP_FILE)
    remove(folder / _NAMES_FILE)


def open_run_folder(workdir: Path, pipeline: str) -> None:
    """Makes the run folder, or checks that it is one of this pipeline.

    A folder whose `run.json` is lost or damaged, but which holds nothing but steps, is taken as it is: what each step's
    record says decides what runs again.

    Raises:
      UserError: if the folder holds something else.
      OSError: if it cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # below /proc, say, where the parent is there and yet is not
        raise UserError(f"{workdir}: cannot be made there; choose another folder with --workdir") from None
    run = read_json(workdir / RUN_FILE)
    if run is None:
        ours = {LOCK_FILE, HASHES_FILE, RUN_FILE}
        others = [
            name
            for name in os.listdir(workdir)
            if name not in ours and not _BESIDE.fullmatch(name) and not (workdir / name / JOB_FILE).exists()
        ]
        if others:
            raise UserError(
                f"{workdir}: is no run folder, and holds {others[0]}; choose an empty or new folder with --workdir"
            )
    elif (name := run.get("pipeline", {}).get("name")) != pipeline:
        raise UserError(
            f"{workdir}: holds a run of the pipeline {name!r}, not of {pipeline!r}; choose another with --workdir"
        )


@contextlib.contextmanager
def lock(workdir: Path, command: str) -> Iterator[None]:
    """Holds the run folder for this process. The kernel lets go of it when the process dies, however it dies.

    Raises:
      UserError: if another process holds it; says which.
    """
    path = workdir / LOCK_FILE
    descriptor = _acquire(path)
    try:
        me = {"pid": os.getpid(), "host": os.uname().nodename, "command": command, "since": now()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(me).encode(), 0)
        sweep(workdir)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """The locked descriptor of the lock file. Raises UserError as `lock`."""
    for attempt in range(_LOCK_TRIES):
        if attempt:  # the other may be only `status` having a look, and the name in the file that of one long dead
            time.sleep(_LOCK_PAUSE_S)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if _flock(descriptor, path, fcntl.LOCK_EX) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    if not (held := read_json(path)):
        raise UserError(f"{path.parent}: is in use by another process; wait for it, or choose another with --workdir")
    who = f"process {held.get('pid')} on {held.get('host')} since {local_time(held['since'])}"
    raise UserError(
        f"{path.parent}: is in use by {who}: {held.get('command')}; wait for it, stop it, or choose another "
        "folder with --workdir"
    )


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one of that name: `clean` may have removed it while we waited for it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def holder(workdir: Path) -> dict[str, Any] | None:
    """Who runs in a run folder now: pid, host, command, since; None if nobody does."""
    path = workdir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _flock(descriptor, path, fcntl.LOCK_SH) else (read_json(path) or {})
    finally:
        os.close(descriptor)


def _flock(descriptor: int, path: Path, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise UserError(f"{path.parent}: its file system has no locks; choose another with --workdir") from None
        raise
    return True
