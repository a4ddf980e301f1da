"""FFN inference: the step as users run it against its bare network, call for call in one run; and what the machine has.

The network is the paper's (depth 9, 32 features, 33 x 33 x 17). With the reference data it is the 7-million-step model
on 96 x 96 x 48 voxels of SNEMI3D; without, one that follows what is bright, on made-up tubes: the same arithmetic.
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
"""So many calls of the step, then as many bare ones, and so on: what else the machine does hits both alike."""

SIDE, PRODUCTS = 2048, 10


class Timed:
    """The network, timed: in the step, and called with the same arrays in a loop that does nothing else."""

    def __init__(self, forward: Callable[[np.ndarray], np.ndarray]) -> None:
        self._forward = forward
        self._inputs: list[np.ndarray] = []
        self.calls = 0
        self.blocks: list[tuple[float, float, float]] = []
        """Seconds of each block: the step's in all, in the network of them, and bare."""
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
    """Runs the step on what `prepare` has written."""
    from contract.job import Job
    from contract.stage import Context
    from segmentation import backend
    from stages import ffn_infer

    timed: list[Timed] = []
    compiled = backend.forward
    backend.forward = lambda model: timed.append(Timed(compiled(model))) or timed[0]  # type: ignore[func-returns-value]
    job = Job(
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
    """Billion operations a second, single precision, by the library that computes the network."""
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
    """Writes image and model; returns what they are."""
    from segmentation.ffn import checkpoint
    from segmentation.ffn import network as ffn
    from stages.storage import ffn_models, volumes

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
    return "SNEMI3D, 7-million-step model" if real.is_dir() else "made-up tubes, a network that follows what is bright"


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
            ("its network, called bare", found["bare"], "fields of view / s"),
            ("the step, of that, block by block", 100 * found["ratio"], "%"),
            ("time outside the network", 100 * found["outside"], "%"),
            ("the network's arithmetic", found["bare"] * operations, "Gflop / s"),
            ("matrix product, the machine's", rate, "Gflop / s"),
            ("peak memory", run["peak_mb"], "MB"),
        ]
    ]
    publish("ffn_inference", data, rows, SHAPE)


if __name__ == "__main__":
    main()
