"""Checks for `ffn-train` whether image, labels and positions fit each other and the field of view."""

from __future__ import annotations

import math

from floodrunner.contract.survey import Network, Work
from floodrunner.stages.ffn_train import Params, check_shapes, field_of_view
from floodrunner.stages.survey.costs import NETWORK
from floodrunner.stages.survey.heads import FFNModel, Head, Positions, Triple, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    image, labels = look.head("image", Volume), look.head("labels", Volume)
    positions = look.head("coordinates", Positions)
    if image is None or labels is None or positions is None:
        return {}
    with look.checks():
        check_shapes(look.name("image"), image.shape, labels.shape, positions.shape)
    if image.size_known and labels.size_known and image.place.voxel_size_xyz != labels.place.voxel_size_xyz:
        look.context.message(
            f"the voxel size is {list(image.place.voxel_size_xyz)} nm in {look.name('image')}, but "
            f"{list(labels.place.voxel_size_xyz)} nm in {look.name('labels')}; check that both show the same tissue"
        )
    wrong = len(look.problems)
    with look.checks():
        room = list(positions.room)
        fov, deltas = field_of_view(params, image.shape, image.place, room, look.name("coordinates"), look.context)
        _needs(params, look, fov, image.voxels * (image.itemsize + labels.itemsize), positions)
        return {"model": FFNModel(params.depth, params.features, fov, deltas, image)}
    if not positions.certain:  # objects may stay further inside than the margin
        look.context.said += look.problems[wrong:]
        del look.problems[wrong:]
    return {}


def _needs(params: Params, look: Look, fov: Triple, volumes: float, positions: Positions) -> None:
    voxels, layers = math.prod(fov), 2 * params.depth
    weights = 4 * 27 * params.features**2 * layers
    # The output of each convolution is kept for the gradient; rectifiers and oneDNN's copies need as much again.
    activations = 4 * params.batch_size * voxels * params.features * layers * 2
    inner = math.prod(n - 2 * r for n, r in zip(positions.shape, positions.room, strict=True))
    checkpoints = params.max_steps // params.checkpoint_steps + 1
    network = Network(
        kind="ffn",
        settings={"depth": params.depth, "features": params.features, "fov": list(fov), "deltas": [0, 0, 0]},
        shape=(params.batch_size, *fov),
        trains=True,
    )
    speed = f"ffn-train depth={params.depth} features={params.features} fov={fov} batch={params.batch_size}"
    work = Work(least=params.max_steps, most=params.max_steps, unit="steps", speed=speed, network=network)
    look.needs(
        NETWORK + 1.2 * volumes + 8 * inner + activations,
        weights * (checkpoints + 4) + 1e6,
        work,
        "a smaller batch_size or fov_xyz",
    )
