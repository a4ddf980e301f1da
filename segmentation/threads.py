"""Work on many blocks at once: numpy lets go of the interpreter in everything that takes time here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Progress = Callable[[int, int], None]
"""Called in the caller's thread with the number done and the total."""


def on_blocks(
    function: Callable[..., Any], blocks: Iterable[tuple[Any, ...]], progress: Progress | None = None
) -> None:
    """Calls `function(*block)` for each block, on as many threads as this process has processors.

    An exception, also one that a signal raises in the caller's thread, drops the blocks that have not begun.
    """
    blocks = list(blocks)
    pool = ThreadPoolExecutor(min(processors(), 8))  # each holds a block's temporary arrays
    try:
        for done, _ in enumerate(pool.map(lambda block: function(*block), blocks), 1):
            if progress is not None:
                progress(done, len(blocks))
    finally:
        pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1
