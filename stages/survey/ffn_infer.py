"""Checks for `ffn-infer` whether box and field of view fit the image; estimates how often the network is called."""

from __future__ import annotations

import math

from floodrunner.contract.survey import Network, Work
from floodrunner.stages.ffn_infer import Params, box_of, check_size
from floodrunner.stages.survey.costs import NETWORK
from floodrunner.stages.survey.heads import FFNModel, Head, Volume
from floodrunner.stages.survey.look import Look

_CALLS = (0.35, 1.5)
"""Network calls, in units of voxels divided by the product of the deltas. The network of SNEMI3D needed 0.42 (2,672 for
160 x 160 x 64 voxels at deltas 8, 8, 4), that of the quick start 0.94; a poor network tries many seeds that become no
object."""


def survey(params: Params, look: Look) -> dict[str, Head]:
    image, model = look.head("image", Volume), look.head("model", FFNModel)
    if image is None:
        return {}
    with look.checks():
        start, size = box_of(params.box_xyz, image.shape, look.name("image"))
        if model is not None:
            check_size(params, model.fov, image.shape, size, look.name("image"))
            _compare(image, model, look)
            _needs(model, size, look)
        z, y, x = size
        return {"segmentation": Volume((z, y, x), 4, image.place.shifted(start), image.size_known)}
    return {}


def _compare(image: Volume, model: FFNModel, look: Look) -> None:
    """Tells if the network was trained on voxels of another size."""
    trained = model.trained_on
    if trained is None or not (trained.size_known and image.size_known):
        return
    if trained.place.voxel_size_xyz != image.place.voxel_size_xyz:
        look.context.message(
            f"voxels of {look.name('image')} are {list(image.place.voxel_size_xyz)} nm, but the network learns from "
            f"voxels of {list(trained.place.voxel_size_xyz)} nm; it finds little in images of another scale"
        )


def _needs(model: FFNModel, size: tuple[int, ...], look: Look) -> None:
    voxels = math.prod(size)
    padded = math.prod(n + f - 1 for n, f in zip(size, model.fov, strict=True))
    cells = voxels / math.prod(max(delta, 1) for delta in model.deltas)
    settings = {"depth": model.depth, "features": model.features, "fov": list(model.fov), "deltas": [0, 0, 0]}
    network = Network(kind="ffn", settings=settings, shape=(1, *model.fov), trains=False) if model.depth else None
    work = Work(
        least=math.ceil(_CALLS[0] * cells),
        most=math.ceil(_CALLS[1] * cells),
        unit="network calls",
        speed=f"ffn-infer depth={model.depth} features={model.features} fov={model.fov}",
        metric="fields_of_view_per_s",
        network=network,
    )
    # Image, logits, segmentation and probability of the canvas; the search for seeds takes about as much again.
    look.needs(NETWORK + 40 * padded, 2 * voxels, work, "a smaller box_xyz")
