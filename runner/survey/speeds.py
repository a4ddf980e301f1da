"""The speeds of this machine that earlier runs and measurements found, in the user's cache folder.

The file is a convenience: what is damaged, or cannot be written, is as if it were not there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from floodrunner.contract.survey import Work
from floodrunner.runner import machine
from floodrunner.runner.engines.base import Engine
from floodrunner.runner.step_options import StepOptions
from floodrunner.runner.workdir.progress import Progress

How = Literal["run", "measured"]
RUN: How = "run"
MEASURED: How = "measured"
_MOST = 500
_LEAST_S = 5.0  # shorter steps mostly load libraries, on a busy machine for a long time

START_S = 1.0
"""Starting a stage that loads no network, on an idle machine."""


class Speed(BaseModel):
    """Units a second.

    Attributes:
      how: whether a run or a short measurement found it.
      at_least: whether the machine can probably do more: it was busy with other things.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    rate: float = Field(gt=0, allow_inf_nan=False)
    how: How
    at_least: bool


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    speeds: dict[str, Speed] = {}


def device(engine_name: str, engine: Engine, options: StepOptions) -> str:
    """What a step computes with: engine, back end, and GPU or processor. Speeds hold for one device."""
    identity = engine.identity(options.gpu)
    processor = gpu(engine, options) or f"CPU x {machine.processors()}"
    return f"{engine_name} {identity.get('backend', '')} {processor}"


def gpu(engine: Engine, options: StepOptions) -> str:
    """The name of the GPU that a step computes with; "" if it uses the processor."""
    found = machine.gpus() if options.gpu and not engine.no_gpu() else []
    return found[0] if found else ""


def key(device: str, name: str) -> str:
    """The name of a speed in the file: it holds for one device."""
    return f"{device}: {name}"


def known() -> dict[str, Speed]:
    """The speeds: `key(device, name)` -> speed."""
    try:
        return _File.model_validate_json(_path().read_bytes()).speeds
    except (OSError, RuntimeError, ValidationError):  # RuntimeError: there is no home
        return {}


def keep(device: str, name: str, speed: Speed) -> None:
    """Adds a speed to the file. One that a busy machine found does not replace one of an idle machine."""
    speeds = known()
    former = speeds.pop(key(device, name), None)
    if former is not None and speed.at_least and not former.at_least:
        speed = former
    speeds[key(device, name)] = speed
    newest = dict(list(speeds.items())[-_MOST:])
    with contextlib.suppress(OSError, RuntimeError):
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two runs may end at the same time: either file is whole, and the last one counts.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(_File(speeds=newest).model_dump_json())
        os.replace(file.name, path)


def of_step(work: Work, progress: Progress, seconds: float) -> float | None:
    """The speed at which a finished step has worked, units a second; None if it was too short to tell.

    Args:
      progress: what the step has reported.
      seconds: how long it ran.
    """
    if work.metric:
        return progress.latest.get(work.metric) or None
    if work.network is not None:  # it may have continued from a saved state, so the time says nothing
        whole = progress.rate if progress.unit in ("steps", "pictures") and progress.total else None
        return whole and whole * work.least / progress.total
    if seconds < _LEAST_S or (work.rough is not None and work.least / work.rough < _LEAST_S):
        return None
    return work.least / (seconds - START_S)


def _path() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path.home() / ".cache") / "floodrunner" / "speeds.json"
