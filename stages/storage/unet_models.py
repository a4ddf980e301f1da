"""A trained U-Net on disk: a folder with `network.json` and `weights.h5`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.stages.storage.hdf5 import create_hdf5
from floodrunner.stages.storage.json_files import read_json
from floodrunner.stages.storage.weights import read_arrays

if TYPE_CHECKING:
    import keras

_ADVICE = "give the model/ folder of unet-train, or train again"


def write_model(folder: Path, network: NetworkSpec, weights: Sequence[np.ndarray], about: dict[str, Any]) -> None:
    """Writes the model.

    Args:
      weights: arrays in the order of Keras's `get_weights`.
      about: further entries for `network.json`, such as the training step of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with create_hdf5(folder / "weights.h5") as file:
        for i, array in enumerate(weights):
            file[f"{i:03d}"] = array
    text = json.dumps(network._asdict() | about, indent=2)
    (folder / "network.json").write_text(text + "\n", encoding="utf-8")


class _Settings(BaseModel):
    """`network.json`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    architecture: str
    channels: Literal[1, 3]
    depth: Annotated[int, Field(ge=1, le=8)]
    width: Annotated[int, Field(ge=1, le=1024)]
    squash: bool
    step: Annotated[int, Field(ge=0)] | None = None
    validation: list[str] = []


def read_head(folder: str | Path) -> NetworkSpec:
    """Reads the description of a network; Keras is not loaded.

    Raises:
      InputError: if the folder does not hold a model of `unet-train`, or `network.json` is damaged.
    """
    from floodrunner.segmentation.unet.architectures import ARCHITECTURES

    folder = Path(folder)
    if not (folder / "network.json").exists():
        raise InputError(f"{folder}: not a model that unet-train wrote (it holds no network.json); {_ADVICE}")
    file = folder / "network.json"
    settings = read_json(file, _Settings, _ADVICE)
    if settings.architecture not in ARCHITECTURES:
        known = " or ".join(ARCHITECTURES)
        raise InputError(f"{file}: architecture: found {settings.architecture[:60]!r}, not {known}; {_ADVICE}")
    return NetworkSpec(settings.architecture, settings.channels, settings.depth, settings.width, squash=settings.squash)


def read_model(folder: str | Path) -> tuple[NetworkSpec, keras.Model]:
    """Reads the description of a network, and builds the model with its weights.

    Raises:
      InputError: like `read_head`; also if the weights are damaged, or do not fit the network.
    """
    from floodrunner.segmentation.unet.architectures import ARCHITECTURES

    network = read_head(folder)
    architecture = ARCHITECTURES[network.architecture]
    shapes = {f"{i:03d}": shape for i, shape in enumerate(architecture.weight_shapes(network))}
    weights = read_arrays(Path(folder) / "weights.h5", shapes, _ADVICE)
    model = architecture.build(network)
    model.set_weights([weights[name] for name in shapes])
    return network, model
