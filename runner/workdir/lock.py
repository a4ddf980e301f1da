"""The lock of a run folder: only one process at a time works in a run folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import read_json, sweep
from floodrunner.runner.workdir.names import LOCK_FILE
from floodrunner.runner.workdir.records import local_time, now

_TRIES, _PAUSE_S = 10, 0.05
_PLAINLY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def lock(workdir: Path, command: str) -> Iterator[None]:
    """Locks the run folder for this process. If the process dies, however it dies, the kernel releases the lock.

    Raises:
      UserError: if another process has locked the folder; the message names that process.
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


def holder(workdir: Path) -> dict[str, Any] | None:
    """The process that has locked a run folder: pid, host, command, since.

    {} if that process is unknown; None if the folder is not locked.
    """
    path = workdir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | _PLAINLY)
    except OSError:
        return None
    try:
        return None if _flock(descriptor, path, fcntl.LOCK_SH) else _known(path)
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """The locked descriptor of the lock file. Raises UserError like `lock`."""
    for attempt in range(_TRIES):
        if attempt:  # `status` locks for an instant; then the file may name an old process
            time.sleep(_PAUSE_S)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _PLAINLY, 0o666)
        try:
            if _flock(descriptor, path, fcntl.LOCK_EX) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    if not (held := _known(path)):
        raise UserError(
            f"{path.parent}: is in use by another process; wait for it, or choose another run folder with --workdir"
        )
    who = f"process {held['pid']} on {held['host']} since {local_time(held['since'])}"
    raise UserError(
        f"{path.parent}: is in use by {who}: {held['command']}; wait for it, stop it, or choose another "
        "run folder with --workdir"
    )


def _known(path: Path) -> dict[str, Any]:
    """What a lock file says about the process that holds the lock; {} if it does not say it all."""
    held = read_json(path) or {}
    kinds = {"pid": int, "host": str, "command": str, "since": str}
    return held if all(isinstance(held.get(name), kind) for name, kind in kinds.items()) else {}


def _flock(descriptor: int, path: Path, how: int) -> bool:
    """Tries to lock; False if another process holds the lock."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise UserError(
                f"{path.parent}: its file system has no locks; choose another run folder with --workdir"
            ) from None
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has this name: `clean` may have removed it between opening and locking."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
