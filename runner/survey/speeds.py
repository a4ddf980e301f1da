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
_LOADING_S = 1.0


class Speed(BaseModel):
    """Units a second, and whether a run or a short measurement found it."""

    model_config = ConfigDict(strict=True, frozen=True)

    rate: float = Field(gt=0, allow_inf_nan=False)
    how: How


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    speeds: dict[str, Speed] = {}


def device(engine_name: str, engine: Engine, options: StepOptions) -> str:
    """What a step computes with: engine, back end, and GPU or processor. Speeds hold for one device."""
    identity = engine.identity(options.gpu)
    gpus = machine.gpus() if options.gpu and not engine.no_gpu() else []
    return f"{engine_name} {identity.get('backend', '')} {gpus[0] if gpus else f'CPU x {machine.processors()}'}"


def known() -> dict[str, Speed]:
    """The speeds: `<device>: <name of the speed>` -> speed."""
    try:
        return _File.model_validate_json(_path().read_bytes()).speeds
    except (OSError, RuntimeError, ValidationError):  # RuntimeError: there is no home
        return {}


def keep(device: str, found: dict[str, float], how: How) -> None:
    """Adds speeds to the file. A measurement does not replace what a run has found."""
    speeds = known()
    for name, rate in found.items():
        key = f"{device}: {name}"
        former = speeds.pop(key, None)
        kept = former if former is not None and how == MEASURED and former.how == RUN else Speed(rate=rate, how=how)
        speeds[key] = kept
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
    return work.least / (seconds - _LOADING_S)


def _path() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path.home() / ".cache") / "floodrunner" / "speeds.json"
