"""Write a trained network as a TensorFlow checkpoint, which the scripts of google/ffn read."""

from __future__ import annotations

from floodrunner.contract.stage import Context, StageParams

INPUTS = {"model": "ffn-model"}
OUTPUTS = {"checkpoint": "ffn-checkpoint"}

GOOGLE_FEATURES = 32


class Params(StageParams):
    """No parameters. The checkpoint is named `model.ckpt-<steps>`, as in google/ffn."""


def run(params: Params, context: Context) -> None:
    import json

    from floodrunner.segmentation.ffn import checkpoint
    from floodrunner.stages.storage import ffn_models

    network, weights, step = ffn_models.read_weights(context.inputs["model"])
    folder = context.outputs["checkpoint"]
    folder.mkdir()
    prefix = folder / f"model.ckpt-{step}"
    checkpoint.write(prefix, weights, step)
    arguments = {"depth": network.depth, "fov_size": network.fov[::-1], "deltas": network.deltas[::-1]}
    context.message(f"write into google/ffn's inference request: model_args: {json.dumps(json.dumps(arguments))}")
    if network.features != GOOGLE_FEATURES:
        context.message(
            f"this network has {network.features} features; google/ffn's ConvStack3DFFNModel has {GOOGLE_FEATURES}, "
            "fixed in its code: change that number there, or train a network with 32 features"
        )
    context.artifact(folder, f"the checkpoint {prefix.name} for google/ffn")
