"""Shared by the benchmarks: their data, time and memory of a function, the printed table, the JSON file."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHAPE = (70, 512, 512)


def labels() -> tuple[np.ndarray, str]:
    """Ground truth of 70 sections, and what it is called.

    Returns:
      (z, y, x) integers, 0 = background: SNEMI3D where the reference data is there, otherwise an artificial volume.
    """
    sections = sorted((ROOT.parent / "shared" / "data" / "snemi3d" / "labels").glob("*.png"))
    if sections:
        from PIL import Image

        return np.stack([np.asarray(Image.open(path)) for path in sections]), "SNEMI3D"
    return _made_up(), "artificial neurites"


def measure(function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """Runs `function(*args)` in a new process. Starting it and passing the arguments does not count.

    Returns:
      `result`, what the function returned; `seconds` of elapsed time; `cpu_seconds` of all threads, which say more on a
      busy machine; `peak_mb`, the peak memory of the process, the arguments included.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (function, args))


def publish(name: str, data: str, rows: Sequence[dict[str, Any]], shape: tuple[int, ...] | None = SHAPE) -> None:
    """Prints the rows as a table, and writes them with facts about the machine to `results/<name>.json`."""
    columns = list(rows[0])
    cells = [[_text(value) for value in row.values()] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    voxels = f", {' x '.join(map(str, shape[::-1]))} voxels" if shape else ""
    print(f"{name}: {data}{voxels}, {_cpus()} processors")
    for first, *others in [columns, *cells]:
        numbers = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *numbers]))
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    machine = {"processors": _cpus(), "machine": platform.machine(), "python": platform.python_version()}
    report = {"data": data, "shape_zyx": shape, **machine, "numpy": np.__version__, "rows": rows}
    (results / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) else str(value)


def _timed(function: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    result = function(*args)
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    return {"result": result, **times, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Peak memory of this process. From /proc, because getrusage gives a new process the peak of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _made_up(objects: int = 120) -> np.ndarray:
    """(z, y, x) uint16 cells around points that move a little from section to section, with background between them."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, SHAPE[1], (objects, 2))
    grid = np.stack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[2]), indexing="ij"), -1)
    from scipy.spatial import cKDTree

    volume = np.zeros(SHAPE, np.uint16)
    for section in volume:
        points += rng.normal(0, 3, points.shape)
        distance, nearest = cKDTree(points).query(grid, k=2)
        section[...] = np.where(distance[..., 1] - distance[..., 0] > 6, nearest[..., 0] + 1, 0)
    return volume
