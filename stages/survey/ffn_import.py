"""Checks for `ffn-import` whether there is such a checkpoint. Its weights say the depth, if the user does not."""

from __future__ import annotations

from pathlib import Path

from floodrunner.stages.ffn_export import GOOGLE_FEATURES
from floodrunner.stages.ffn_import import Params, choose
from floodrunner.stages.survey.costs import NETWORK, reading
from floodrunner.stages.survey.heads import FFNModel, Head
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    with look.checks():
        choose(Path(look.paths["checkpoint"]), params.name)
    look.needs(NETWORK, 1e7, reading(1, "ffn-import", 0.1, "networks"))
    (x, y, z), (dx, dy, dz) = params.fov_xyz, params.deltas_xyz
    return {"model": FFNModel(params.depth, GOOGLE_FEATURES, (z, y, x), (dz, dy, dx))}
