"""The containers in which steps run: follows a container to its end, and finds containers that a killed runner left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from floodrunner.contract.codes import FAILED, INTERRUPTED
from floodrunner.contract.job import LOG_FILE
from floodrunner.runner.engines.base import Exit, killed_by
from floodrunner.runner.engines.docker import client, limits
from floodrunner.runner.errors import UserError
from floodrunner.runner.workdir.files import open_own

if TYPE_CHECKING:
    from docker.models.containers import Container

RUN, STEP, FINGERPRINT, LOG_START = (f"org.floodrunner.{name}" for name in ("run", "step", "fingerprint", "log-start"))
"""Labels of a container; `docker ps --filter label=org.floodrunner.run` lists Floodrunner's."""

LOCK_FILE = ".container"
"""File in a step's folder. A stage in a container locks it; the kernel releases the lock however the stage ends."""

AT_WORK = ("running", "paused", "restarting")
_TIME_TO_SAVE_S = 60
_LAST_WORDS_S = 10
_ENGINE_COMES_BACK_S = 10


class Running:
    """A running container. Two threads wait for its end, and copy its output to `log.txt`."""

    def __init__(self, container: Container, folder: Path) -> None:
        self._container = container
        self._log = folder / LOG_FILE
        self._where = client.address()
        self._lost = False
        self._exit: Future[Exit] = Future()
        Thread(target=self._follow, daemon=True).start()

    @property
    def name(self) -> str:
        return f"container {self._container.name}"

    def wait(self, seconds: float) -> Exit | None:
        try:
            return self._exit.result(seconds)
        except StillRunning:
            return None

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        if not self._lost:  # if the engine is gone, the container may still run; a later run can take it over
            with _gone_is_fine():
                self._container.remove(force=True, v=True)

    def _signal(self, number: signal.Signals) -> None:
        with _gone_is_fine():
            self._container.kill(signal=number.name)

    def _follow(self) -> None:
        """Follows the container to its end. Sets `_exit` even after an error, because the runner waits for `_exit`."""
        from docker.errors import NotFound
        from requests.exceptions import RequestException

        copying = Thread(target=self._copy_log, daemon=True)
        copying.start()
        try:
            self._wait()
            self._let_finish(copying)
            self._container.reload()
            allowed = self._container.attrs.get("HostConfig") or {}
            memory = max(int(allowed.get(name) or 0) for name in ("Memory", "MemorySwap"))
            self._exit.set_result(_exit(self._container.attrs["State"], memory))
        except NotFound:
            self._exit.set_result(_REMOVED)
        except RequestException:
            self._lost = True
            text = f"the Docker engine at {self._where} is gone; start the engine and run again"
            self._exit.set_result(Exit(FAILED, text))
        except Exception as error:
            text = f"the Docker engine at {self._where} reports an error: {client.reason(error)}"
            self._exit.set_result(Exit(FAILED, text))

    def _wait(self) -> None:
        """Waits for the container to end, even if the engine restarts: with live-restore, containers survive a restart.

        Raises:
          RequestException: if the engine is gone and does not come back soon.
        """
        from docker.errors import APIError
        from requests.exceptions import RequestException

        deadline = None
        while True:
            try:
                if deadline is not None:
                    self._container.reload()
                self._container.client.api.wait(self._container.id, timeout=None)
                return
            except APIError:
                raise
            except RequestException:
                deadline = deadline or time.monotonic() + _ENGINE_COMES_BACK_S
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _let_finish(self, copying: Thread) -> None:
        """Waits for the thread that copies the log, as long as the log keeps growing."""
        size = -1
        while copying.is_alive() and size != (size := self._log.stat().st_size if self._log.exists() else 0):
            copying.join(_LAST_WORDS_S)

    def _copy_log(self) -> None:
        """Copies the container's whole output, in place of the part that a killed runner has copied already."""
        with (
            contextlib.suppress(OSError, UserError),  # the disk may be full, which the stage reports
            _gone_is_fine(),
            open_own(self._log, "r+b") as file,
        ):
            file.truncate(int(self._container.labels[LOG_START]))
            file.seek(0, os.SEEK_END)
            for block in self._container.logs(stream=True, follow=True):
                file.write(block)
                file.flush()


_REMOVED = Exit(FAILED, "another program removed its container; run again")


def _exit(state: dict[str, Any], memory: int) -> Exit:
    """How a container ended, from its state; `memory`, with swap, is the most that it was allowed, bytes, 0: all."""
    code = int(state["ExitCode"])
    if state.get("Status") in ("removing", "dead"):
        return _REMOVED
    if state.get("OOMKilled"):
        return Exit(code, limits.out_of_memory(memory))
    if state.get("Error"):
        return Exit(code, f"the Docker engine could not run the container: {state['Error']}")
    if code == 128 + signal.SIGKILL:
        return Exit(code, "killed from outside (docker kill, docker stop, or no memory left); run again")
    signalled = code > 128 and code != INTERRUPTED
    return Exit(code, killed_by(code - 128) if signalled else "")


def run_name(workdir: Path) -> str:
    """The name of a run folder in labels: its absolute path, with links resolved."""
    return os.path.realpath(workdir)


def of_run(workdir: Path, step: str | None = None) -> list[Container]:
    """The containers of a run folder's steps, or of one step; an empty list if no engine answers."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    labels = [f"{RUN}={run_name(workdir)}", *([f"{STEP}={step}"] if step else [])]
    try:
        found = client.connect().containers.list(all=True, ignore_removed=True, filters={"label": labels})
    except (UserError, DockerException, RequestException):
        return []
    return list(found)


def end(container: Container) -> None:
    """Stops a container, with time to save its state, and removes it.

    Raises:
      UserError: if the container does not end. It is not killed, because it would lose its unsaved state.
    """
    from docker.errors import DockerException, NotFound
    from requests.exceptions import RequestException

    try:
        if container.status == "paused":
            container.unpause()
        if container.status in AT_WORK:
            container.kill(signal="SIGTERM")
            container.wait(timeout=_TIME_TO_SAVE_S)
        container.remove(v=True)
    except NotFound:
        pass
    except (DockerException, RequestException) as error:
        name = container.name
        raise UserError(
            f"container {name} of a run that was killed has not ended: {client.reason(error)}; "
            f"wait for its end and run again; docker rm -f {name} ends it without saving its state"
        ) from None


def check_lock(folder: Path) -> None:
    """Checks that no container runs in a step's folder that the engine does not list under this run folder.

    That can happen if its engine was killed, if it belongs to a different engine, or if the run folder was renamed.

    Raises:
      UserError: if such a container runs.
    """
    try:
        with open_own(folder / LOCK_FILE, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{folder}: a container still runs there. If its engine is down, start the engine; else find the container "
            f"with docker ps --filter label={STEP}={folder.name}, run docker stop -t 600 NAME, and run again"
        ) from None
    except OSError:  # there is no such file, or the file system has no locks
        pass


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    """Ignores errors of a container that has ended or was removed, and of an engine that is gone.

    The next run ends the container with `reclaim`, if it is still there.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with contextlib.suppress(DockerException, RequestException):
        yield
