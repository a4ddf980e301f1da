"""Opens a trained network, of whichever kind it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

from floodrunner.contract.stage import InputError
from floodrunner.ffn import FFN
from floodrunner.unet import UNet


def load(path: str | os.PathLike[str]) -> FFN | UNet:
    """Loads a trained network; what it is, its folder says.

    Args:
      path: the folder `model` that training has made (`runs/ffn/train/model`), or the run folder that holds it. A
        checkpoint of google/ffn is converted first: see `floodrunner pipelines` and the stage `ffn-import`.

    Raises:
      InputError: if there is no model, or it is damaged.
    """
    folder = Path(path)
    for inside in ("", "train/model", "run/train/model"):
        if (file := folder / inside / "network.json").exists():
            try:
                held = json.loads(file.read_bytes())
            except ValueError:
                held = None
            is_unet = isinstance(held, dict) and "architecture" in held
            return UNet(folder / inside) if is_unet else FFN(folder / inside)
    raise InputError(
        f"{path}: holds no model (network.json); name the folder `model` of ffn-train, unet-train or ffn-import, or a "
        "run folder"
    )
