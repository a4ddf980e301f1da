"""Peak memory of the stages that work on volumes, per voxel, as steps of their own: `memory.py [SIDE] [CHECKOUT]`.

Each stage runs on a small cube and on one of SIDE^3 voxels (256 by default). The difference of the two peaks, divided
by the difference in voxels, is what a voxel costs; libraries and buffers of a fixed size do not count. With CHECKOUT,
another copy of the sources, each stage also runs with the code there, and the outputs are compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _measure import ROOT, publish

from floodrunner.stages.storage.volumes import Place, write_volume

SMALL = 96
RUN = """
import json, sys, time
from pathlib import Path
from floodrunner.stages.__main__ import main
begun = time.perf_counter(), time.process_time()
code = main(Path(sys.argv[1]))
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1e3
print("\\n" + json.dumps([code, peak, time.perf_counter() - begun[0], time.process_time() - begun[1]]))
"""
RADIUS = {"lom_radius_xyz": [24, 24, 24]}
STAGES: dict[str, tuple[str, dict[str, str], dict[str, str], dict[str, Any]]] = {
    # row -> stage, input port -> file, output port -> file, parameters
    "ffn-partitions": ("ffn-partitions", {"labels": "labels.h5"}, {"volume": "volume.h5"}, RADIUS),
    "ffn-coordinates": ("ffn-coordinates", {"partitions": "partitions.h5"}, {"table": "table.h5"}, {}),
    "... with tfrecord": (
        *("ffn-coordinates", {"partitions": "partitions.h5"}, {"table": "table.h5"}),
        {"tfrecord": True},
    ),
    "statistics": ("statistics", {"volume": "image.h5"}, {"json": "json.json"}, {}),
    "fill": ("fill", {"segmentation": "labels.h5"}, {"segmentation": "segmentation.h5"}, {}),
    "export-stack, ids": ("export-stack", {"volume": "labels.h5"}, {"sections": "sections"}, {}),
    "export-stack, overlay": (
        *("export-stack", {"volume": "labels.h5", "image": "image.h5"}, {"sections": "sections"}),
        {"style": "overlay"},
    ),
    "import-images": ("import-images", {"stack": "image.h5"}, {"volume": "volume.h5"}, {}),
    "import-labels": ("import-labels", {"stack": "labels.h5"}, {"volume": "volume.h5"}, {}),
    "evaluate-volume": (
        *("evaluate-volume", {"segmentation": "labels.h5", "labels": "labels.h5"}, {"metrics": "metrics.json"}, {}),
    ),
}


def data(folder: Path, side: int) -> None:
    """Writes a cube of neurites with noise, and the partitions of it."""
    rng = np.random.default_rng(0)
    base = side // 4
    points = rng.uniform(0, base, (3 * base, 3)) * (0.25, 1, 1)  # flat in z, so that cells are long
    from scipy.spatial import cKDTree

    grid = np.stack(np.indices((base,) * 3), -1) * (0.25, 1, 1)
    distance, nearest = cKDTree(points).query(grid, k=2)
    labels = np.where(distance[..., 1] - distance[..., 0] > 1, nearest[..., 0] + 1, 0).astype(np.uint32)
    labels = labels.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    write_volume(folder / "labels.h5", "labels", labels, Place((8.0, 8.0, 30.0)))
    image = np.where(labels > 0, np.uint8(160), np.uint8(60)) + rng.integers(0, 40, labels.shape, np.uint8)
    write_volume(folder / "image.h5", "image", image, Place((8.0, 8.0, 30.0)))
    run(ROOT, folder, folder / "prepared", "ffn-partitions")
    (folder / "prepared" / "volume.h5").rename(folder / "partitions.h5")


def run(checkout: Path, inputs: Path, folder: Path, row: str) -> list[float]:
    """Runs a stage in a process of its own. Returns its peak memory in MB, seconds, and seconds of all processors."""
    stage, ports, outputs, params = STAGES[row]
    folder.mkdir()
    job = {
        "step": "measured",
        "stage": stage,
        "params": params,
        "inputs": {port: str(inputs / name) for port, name in ports.items()},
        "outputs": {port: str(folder / name) for port, name in outputs.items()},
        "state": str(folder / "state"),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder)], cwd=checkout, env=environment, capture_output=True, text=True
    )
    code, *figures = json.loads(done.stdout.splitlines()[-1])
    if code:
        raise SystemExit(f"{row}: exit code {code}\n{done.stdout}{done.stderr}")
    return figures


def digest(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.name not in ("job.json", "events.jsonl")
    }


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    checkouts = [("", ROOT), *(("before: ", Path(each).resolve()) for each in sys.argv[2:3])]
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        root = Path(name)
        for each in (SMALL, side):
            (root / str(each)).mkdir()
            data(root / str(each), each)
        for row in STAGES:
            made = []
            for title, checkout in checkouts:
                small, _, _ = run(checkout, root / str(SMALL), root / f"{title}{row}, small", row)
                peak, seconds, cpu = run(checkout, root / str(side), root / f"{title}{row}", row)
                made.append(digest(root / f"{title}{row}"))
                rows.append(
                    {
                        "stage": title + row,
                        "bytes a voxel": (peak - small) * 1e6 / (side**3 - SMALL**3),
                        "peak MB": peak,
                        "seconds": seconds,
                        "CPU seconds": cpu,
                        "same output": made[0] == made[-1] if len(checkouts) > 1 else None,
                    }
                )
                print(rows[-1], flush=True)
    publish("memory", "artificial neurites", rows, (side,) * 3)


if __name__ == "__main__":
    main()
