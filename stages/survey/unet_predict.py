"""Checks that `unet-predict` can read its pictures, and estimates memory and predicted pixels."""

from __future__ import annotations

import math

from floodrunner.contract.survey import Network, Work
from floodrunner.segmentation.unet.architectures import ARCHITECTURES
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.stages.readers.pictures import open_pictures
from floodrunner.stages.survey.costs import NETWORK
from floodrunner.stages.survey.heads import Head, Pictures, UNetModel
from floodrunner.stages.survey.look import Look
from floodrunner.stages.survey.pictures import in_words
from floodrunner.stages.unet_predict import Params

_TILE_BYTES = 2e9 / (2048 * 2048 * 16)
"""Bytes of a pixel of a tile and a channel of the first level."""


def survey(params: Params, look: Look) -> dict[str, Head]:
    pictures, model = look.head("images", Pictures), look.head("model", UNetModel)
    if pictures is None and "images" in look.paths:
        with look.checks(), open_pictures(look.paths["images"]) as found:
            heads = [source.head() for source in found]
            sizes = tuple((head.height, head.width) for head in heads)
            look.context.message(in_words(look.paths["images"], heads))
            pictures = Pictures(sizes, 3 if heads[0].form.samples > 2 else 1, heads[0].form.bits // 8)
    if pictures is None or not pictures.sizes:
        return {}
    if model is not None:
        _needs(params, pictures, model, look)
    return {"predicted": pictures}


def _needs(params: Params, pictures: Pictures, model: UNetModel, look: Look) -> None:
    network = NetworkSpec(*vars(model).values())
    tiles = ARCHITECTURES[model.architecture].tiles(network, params.tile)
    side = tiles.multiple
    largest = max(pictures.sizes, key=math.prod)
    height, width = (min(max(-(-n // side) * side, tiles.shortest), tiles.longest) for n in largest)
    turns = 8 if params.test_time_augmentation else 1
    megapixels = sum(max(y, tiles.shortest) * max(x, tiles.shortest) for y, x in pictures.sizes) / 1e6
    of_call = height * width / 1e6
    work = Work(
        least=megapixels,
        most=megapixels,
        unit=f"megapixels, {turns} predictions each" if turns > 1 else "megapixels",
        speed=f"unet-predict {' '.join(map(str, vars(model).values()))} predictions={turns}",
        network=Network(kind="unet", settings=vars(model), shape=(1, height, width), trains=False),
        per_call=of_call / turns,
    )
    memory = NETWORK + _TILE_BYTES * height * width * model.width + 40 * math.prod(largest)
    look.needs(memory, pictures.pixels * (4 + 2 * pictures.channels * pictures.itemsize), work, "a smaller tile")
