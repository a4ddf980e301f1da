"""FFN inference: the speed of the step, of its network alone in the same run, and of the machine.

The network has the size of the paper's (depth 9, 32 features, field of view 33 x 33 x 17). With the reference data it
is the 7-million-step model, on 96 x 96 x 48 voxels of SNEMI3D. Without, it is a network with weights made by hand that
follows bright voxels, on artificial tubes; the amount of computation is the same.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _measure import ROOT, measure, publish

SHAPE = (48, 96, 96)
DEPTH, FEATURES, FOV, DELTAS = 9, 32, (17, 33, 33), (4, 8, 8)
BLOCK = 16
"""Calls in a block: blocks of the step and of the network alone alternate, so that other load affects both alike."""

SIDE, PRODUCTS = 2048, 10
"""Of the matrix product that measures the machine: side of the matrices, and how many products are timed together."""


class Timed:
    """Times the network within the step, and again with the same arrays in a loop that does nothing else."""

    def __init__(self, forward: Callable[[np.ndarray], np.ndarray]) -> None:
        self._forward = forward
        self._inputs: list[np.ndarray] = []
        self.calls = 0
        self.blocks: list[tuple[float, float, float]] = []
        """Seconds of each block: of the step as a whole, of the network within it, and of the network alone."""
        self._begun: float | None = None
        self._network = 0.0

    def __call__(self, given: np.ndarray) -> np.ndarray:
        if self._begun is None:
            self._forward(given)  # the first call traces the graph
            self._begun = time.perf_counter()
        self._inputs.append(given.copy())
        start = time.perf_counter()
        output = self._forward(given)
        end = time.perf_counter()
        self._network += end - start
        self.calls += 1
        if len(self._inputs) == BLOCK:
            for array in self._inputs:
                self._forward(array)
            again = time.perf_counter()
            self.blocks.append((end - self._begun, self._network, again - end))
            self._begun, self._network = again, 0.0
            self._inputs.clear()
        return output


def infer(folder: Path) -> dict[str, Any]:
    """Runs the step on the files that `prepare` has written."""
    from floodrunner.contract.job import Job
    from floodrunner.contract.stage import Context
    from floodrunner.segmentation import backend
    from floodrunner.stages import ffn_infer

    timed: list[Timed] = []
    compiled = backend.forward
    backend.forward = lambda model: timed.append(Timed(compiled(model))) or timed[0]  # type: ignore[func-returns-value]
    job = Job(
        step="this-step",
        stage="ffn-infer",
        params={},
        inputs={"image": str(folder / "image.h5"), "model": str(folder / "model")},
        outputs={"segmentation": str(folder / "segmentation.h5")},
        state=str(folder / "state"),
    )
    events = io.StringIO()
    settings = {"image_mean": 131.0, "image_stddev": 62.0, "reflect_border": False}
    ffn_infer.run(ffn_infer.Params.parse(settings), Context(job, events))
    (run,) = timed
    step, network, alone = np.array(run.blocks).T
    ours, bare = BLOCK / np.median(step), BLOCK / np.median(alone)
    last = {e["name"]: e["value"] for e in map(json.loads, events.getvalue().splitlines()) if e["event"] == "metric"}
    return {
        "calls": run.calls,
        "objects": last["objects"],
        "ours": ours,
        "bare": bare,
        "ratio": np.median(alone / step),
        "outside": 1 - network.sum() / step.sum(),
    }


def matrix_product() -> float:
    """Billion operations per second of a matrix product, in single precision, by the network's library."""
    from keras import ops

    matrix = ops.convert_to_tensor(np.random.default_rng(1).normal(size=(SIDE, SIDE)).astype(np.float32))
    ops.convert_to_numpy(ops.matmul(matrix, matrix))
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(PRODUCTS):
            product = ops.matmul(matrix, matrix)
        ops.convert_to_numpy(product)
        rates.append(2 * SIDE**3 * PRODUCTS / (time.perf_counter() - start) / 1e9)
    return max(rates)


def prepare(folder: Path) -> str:
    """Writes `image.h5` and `model/` into a folder. Returns a description of them."""
    from floodrunner.segmentation.ffn import checkpoint
    from floodrunner.segmentation.ffn import network as ffn
    from floodrunner.stages.storage import ffn_models, volumes

    network = ffn.NetworkSpec(DEPTH, FEATURES, FOV, DELTAS)
    real = ROOT.parent / "shared" / "data" / "snemi3d"
    if real.is_dir():
        from PIL import Image

        paths = sorted((real / "images").glob("*.png"))[: SHAPE[0]]
        image = np.stack([np.asarray(Image.open(path))[: SHAPE[1], : SHAPE[2]] for path in paths])
        weights, _ = checkpoint.read(real / "checkpoint" / "model.ckpt-7000000")
    else:
        image = np.full(SHAPE, 90, np.uint8)
        for n in range(5):
            image[:, 2 + 19 * n : 18 + 19 * n, 4:-4] = 160
        weights = {name: np.zeros_like(array) for name, array in ffn.weights(ffn.build(network)).items()}
        weights["seed_update/conv0_a/weights"][1, 1, 1, 0, :2] = [1, -1]  # bright, dark
        weights["seed_update/conv0_b/weights"][1, 1, 1] = np.eye(FEATURES)
        weights["seed_update/conv_lom/weights"][0, 0, 0, :2, 0] = [12, -12]
    ffn_models.write_model(folder / "model", network, weights, 1)
    volumes.write_volume(folder / "image.h5", "image", image, volumes.Place())
    return "SNEMI3D, 7-million-step model" if real.is_dir() else "artificial tubes, weights made by hand"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        data = measure(prepare, Path(name))["result"]
        before = measure(matrix_product)["result"]
        run = measure(infer, Path(name))
        rate = max(before, measure(matrix_product)["result"])
    found = run["result"]
    operations = 2 * np.prod(FOV) * (27 * FEATURES * (2 + (2 * DEPTH - 1) * FEATURES) + FEATURES) / 1e9
    rows = [
        {"inference": name, "value": value, "unit": unit}
        for name, value, unit in [
            ("objects", found["objects"], ""),
            ("fields of view", found["calls"], ""),
            ("the step", found["ours"], "fields of view / s"),
            ("the network alone", found["bare"], "fields of view / s"),
            ("the step, relative to the network alone", 100 * found["ratio"], "%"),
            ("time outside the network", 100 * found["outside"], "%"),
            ("the network's arithmetic", found["bare"] * operations, "Gflop / s"),
            ("matrix product on this machine", rate, "Gflop / s"),
            ("peak memory", run["peak_mb"], "MB"),
        ]
    ]
    publish("ffn_inference", data, rows, SHAPE)


if __name__ == "__main__":
    main()
