"""A format that is fuzzed: how a valid file is made, what reads it, and what reading may end with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from floodrunner.contract.job import EVENTS_FILE, JOB_FILE
from floodrunner.contract.ports import port_file
from tests.fuzz.damage import damaged


class Outcome(NamedTuple):
    """How reading ended.

    Attributes:
      code: exit code.
      text: the line for the user; "" if all went well.
      said: all other lines that the user would see.
    """

    code: int
    text: str
    said: tuple[str, ...] = ()


def _damage(file: Path, random: Random) -> None:
    file.write_bytes(damaged(file.read_bytes(), random))


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
      make: writes valid inputs, one folder for each variant, into an empty folder.
      read: reads a variant in its folder.
      targets: pattern of the files in a variant's folder, one of which is changed.
      change: changes one file.
      network: whether reading needs what `networks.prepare` does.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Outcome]
    targets: str
    change: Callable[[Path, Random], None] = _damage
    network: bool = False


def stage(
    folder: Path, name: str, inputs: Mapping[str, Path | str], params: Mapping[str, Any] | None = None
) -> Outcome:
    """Runs a stage as a process of its own would, in `folder/step`."""
    from importlib import import_module

    from floodrunner.stages.__main__ import main

    outputs = import_module(f"floodrunner.stages.{name.replace('-', '_')}").OUTPUTS
    step = folder / "step"
    step.mkdir(parents=True, exist_ok=True)
    job = {
        "step": "step",
        "stage": name,
        "params": dict(params or {}),
        "inputs": {port: str(path) for port, path in inputs.items()},
        "outputs": {port: str(step / "partial" / port_file(port, kind)) for port, kind in outputs.items()},
        "state": str(step / "state"),
    }
    (step / JOB_FILE).write_text(json.dumps(job))
    code = main(step)
    events = [json.loads(line) for line in (step / EVENTS_FILE).read_text().splitlines()]
    said = tuple(event["text"] for event in events if event["event"] == "message")
    return Outcome(code, events[-1].get("message", "") if events else "", said)


def first_failure(*readings: Callable[[], Outcome]) -> Outcome:
    """Reads in several ways, up to the first that fails; all are told."""
    said: tuple[str, ...] = ()
    outcome = Outcome(0, "")
    for reading in readings:
        outcome = reading()
        said += outcome.said
        if outcome.code:
            break
    return outcome._replace(said=said)
