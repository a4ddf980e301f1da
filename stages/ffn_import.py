"""Convert a TensorFlow checkpoint of a network that was trained with google/ffn."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from floodrunner.contract.ffn import Depth, FieldOfView
from floodrunner.contract.stage import Context, InputError

INPUTS = {"checkpoint": "ffn-checkpoint"}
OUTPUTS = {"model": "ffn-model"}


class Params(FieldOfView):
    name: str | None = Field(None, min_length=1)
    """Name of the checkpoint in the folder, such as `model.ckpt-7000000`. By default, the checkpoint with the most
    steps."""
    depth: Depth | None = None
    """Number of residual modules, `depth` in google/ffn's `model_args`. By default, the depth of the checkpoint; any
    other depth is refused."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.ffn import checkpoint
    from floodrunner.stages.storage import ffn_models

    prefix = choose(Path(context.inputs["checkpoint"]), params.name)
    try:
        weights, step = checkpoint.read(prefix)
        network = checkpoint.network_of(weights, params.fov_xyz[::-1], params.deltas_xyz[::-1])
        ffn_models.check(network, step)
    except ValueError as error:
        raise InputError(f"{prefix}: {error}; choose another checkpoint with name, or another folder") from None
    if params.depth not in (None, network.depth):
        raise InputError(f"{prefix}: has depth {network.depth}, not {params.depth}; leave depth out, or correct it")
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise InputError(
            f"{prefix}: holds weights that are not numbers, because training diverged; choose an earlier checkpoint"
        )
    ffn_models.write_model(context.outputs["model"], network, weights, step)
    context.message(f"{prefix.name}: {step:,} steps, depth {network.depth}, {network.features} features")


def choose(folder: Path, name: str | None) -> Path:
    """Returns the prefix that the paths of the chosen checkpoint's files share.

    Raises:
      InputError: if the folder holds no checkpoint, or none of this name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; name its folder, and choose the checkpoint with name")
    found = sorted((path.stem for path in folder.glob("*.index")), key=_step)
    if not found:
        raise InputError(
            f"{folder}: holds no TensorFlow checkpoint (model.ckpt-....index); name a folder that holds one"
        )
    chosen = name or found[-1]
    if chosen not in found:
        newest = ", ".join(found[:-6:-1])
        raise InputError(f"{folder}: holds no checkpoint {chosen}; it has {newest}{', ...' if len(found) > 5 else ''}")
    return folder / chosen


def _step(name: str) -> tuple[int, str]:
    digits = re.search(r"-(\d+)$", name)
    return (int(digits[1]) if digits else -1, name)
