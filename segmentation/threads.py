"""Runs a function on many blocks in parallel threads, which is useful because NumPy releases the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Progress = Callable[[int, int], None]
"""Called in the caller's thread with the number of blocks done and the total number of blocks."""


def on_blocks(
    function: Callable[..., Any], blocks: Iterable[tuple[Any, ...]], progress: Progress | None = None
) -> None:
    """Calls `function(*block)` for each block, in one thread per processor but at most 8.

    After an exception in a block, or by a signal in the caller's thread, blocks that have not started are dropped.
    """
    blocks = list(blocks)
    pool = ThreadPoolExecutor(min(processors(), 8))  # each thread holds the temporary arrays of a block
    try:
        for done, _ in enumerate(pool.map(lambda block: function(*block), blocks), 1):
            if progress is not None:
                progress(done, len(blocks))
    finally:
        pool.shutdown(cancel_futures=True)


def processors() -> int:
    """Returns the number of processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS does not have this function
    return len(affinity(0)) if affinity else os.cpu_count() or 1
