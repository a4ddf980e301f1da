"""How much of the machine a step in a container may use, and what it is told if that was not enough.

Without limits, a step that needs more memory than there is makes the system kill any program of the user's, and a step
that starts processes without end makes the machine unusable.
"""

from __future__ import annotations

from typing import Any

from floodrunner.runner import words
from floodrunner.runner.engines.docker import client
from floodrunner.runner.step_options import StepOptions

_SHARE = 0.9
"""Of the engine's memory, what a step may use by default. The rest is for the system and the user's other programs."""
_PROCESSES, _PER_PROCESSOR = 1024, 64
"""Libraries start several threads for each processor."""


def settings(options: StepOptions) -> dict[str, Any]:
    """The limits of a step's container, as arguments of the SDK's `containers.create`.

    Files in `/tmp` and `/dev/shm` are in memory and count as such; each of the two holds up to half of it. An engine
    that cannot limit something, such as a rootless one on an older system, is not asked to.

    By default a step uses no swap, which would slow down the whole machine. A limit that is set counts swap, so that
    one above the machine's memory lets a step use swap.
    """
    found: dict[str, Any] = {"tmpfs": {"/tmp": ""}}
    if (limit := _limit(options)) is not None:
        memory = min(limit, _there() or limit)
        found |= {"mem_limit": memory, "shm_size": memory // 2, "tmpfs": {"/tmp": f"size={memory // 2}"}}
        if client.info().get("SwapLimit"):
            found["memswap_limit"] = limit  # memory and swap together
    if client.info().get("PidsLimit"):
        found["pids_limit"] = options.processes or processes_by_default()
    return found


def _limit(options: StepOptions) -> int | None:
    """The most memory and swap that a step may use, bytes; None without a limit."""
    if not client.info().get("MemoryLimit") or not (_there() or options.memory_gb):
        return None
    return int(options.memory_gb * 1e9 if options.memory_gb else _there() * _SHARE)


def _there() -> int:
    """The engine's memory, bytes; 0 if it does not say."""
    return int(client.info().get("MemTotal") or 0)


def processes_by_default() -> int:
    return _PROCESSES + _PER_PROCESSOR * int(client.info().get("NCPU") or 1)


def ignored(options: StepOptions) -> str:
    """Which limits of a pipeline this engine cannot hold a step to, as one line; "" if there are none."""
    wanted = (("memory_gb", "MemoryLimit"), ("processes", "PidsLimit"))
    names = [name for name, able in wanted if getattr(options, name) is not None and not client.info().get(able)]
    what = " and ".join(names)
    return f"this Docker engine cannot limit what a step uses, and ignores {what}" if names else ""


def by_default() -> str:
    """The limits of a step that sets none, for `doctor`: `a step may use 14.4 GB and 1536 processes`."""
    memory = _limit(StepOptions())
    parts = [words.size(memory) if memory else "all memory"]
    parts.append(f"{processes_by_default()} processes" if client.info().get("PidsLimit") else "any number of processes")
    return f"a step may use {' and '.join(parts)}"


def out_of_memory(limit: int) -> str:
    """Why a container was killed, and what to do.

    Args:
      limit: the most memory and swap that it was allowed, bytes; 0 without a limit.
    """
    less, there = "a smaller box_xyz or fewer sections, or a machine with more memory", _there()
    if not limit:
        return f"out of memory: try {less}"
    raised = f"set memory_gb of the step higher (there are {words.size(there)}), or " if limit < 0.99 * there else ""
    return f"out of memory: it may use {words.size(limit)}; {raised}try {less}"
