"""Measures how fast this machine computes with networks: `python -m floodrunner.stages FOLDER`.

It is no stage of a pipeline: the runner starts it for `plan`, when it knows of no earlier run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodrunner.contract.stage import Context, StageParams
from floodrunner.contract.survey import Network, Speeds

if TYPE_CHECKING:
    import keras

OUTPUTS = {"report": "metrics"}

_SECONDS = 3.0
"""How long a network is measured, after a first call that compiles it."""


class Params(StageParams):
    networks: dict[str, Network]
    """Name of a speed -> the network to measure."""


def run(params: Params, context: Context) -> None:
    found: dict[str, float] = {}
    for done, (name, network) in enumerate(params.networks.items(), 1):
        context.message(f"measuring {name}")
        call = _call_of(network)
        found[name] = _calls_per_second(call, 0)  # compiles, too
        _write(Speeds(speeds=found, hurried=(name,)), context.outputs["report"])
        found[name] = _calls_per_second(call, _SECONDS)
        _write(Speeds(speeds=found), context.outputs["report"])
        context.progress(done, len(params.networks), "networks")


def _calls_per_second(call: Callable[[], Any], seconds: float) -> float:
    """Calls for so many seconds, at least once."""
    begun, calls = time.monotonic(), 0
    while not calls or time.monotonic() - begun < seconds:
        call()
        calls += 1
    return calls / (time.monotonic() - begun)


def _write(found: Speeds, path: Path) -> None:
    """Writes what there is so far: the runner ends a measurement that takes too long, at any time."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_text(found.model_dump_json(), encoding="utf-8")
    os.replace(unfinished, path)


def _call_of(network: Network) -> Callable[[], Any]:
    """Returns a function that calls a network, or makes one training step, with random numbers."""
    import keras
    import numpy as np

    from floodrunner.segmentation import backend

    model, loss, channels = _built(network)
    random = np.random.default_rng(0)
    given = random.random((*network.shape, channels), np.float32)
    if not network.trains:
        forward = backend.forward(model)
        return lambda: forward(given)
    target = np.zeros((*network.shape, model.output_shape[-1]), np.float32)
    step = backend.training_step(model, keras.optimizers.Adam(1e-4), loss)
    return lambda: step(given, target)


def _built(network: Network) -> tuple[keras.Model, Callable[[Any, Any], Any], int]:
    """Returns the model, the loss that it is trained with, and the channels of its input."""
    if network.kind == "ffn":
        from floodrunner.segmentation.ffn import network as ffn
        from floodrunner.segmentation.ffn.spec import NetworkSpec

        return ffn.build(NetworkSpec(**network.settings)), ffn.loss, 2
    from floodrunner.segmentation.unet import losses
    from floodrunner.segmentation.unet import network as unet
    from floodrunner.segmentation.unet.architectures import architecture_of

    spec = unet.NetworkSpec(**network.settings)
    architecture = architecture_of(spec)
    model = architecture.build(spec)
    return model if network.trains else architecture.folded(spec, model), losses.LOSSES["dice"], spec.channels
