"""A trained flood-filling network on disk: a folder with `network.json` and `weights.h5`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from floodrunner.contract.ffn import Depth, Features, FieldOfView
from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn.spec import NetworkSpec
from floodrunner.stages.storage.hdf5 import create_hdf5
from floodrunner.stages.storage.json_files import problem, read_json
from floodrunner.stages.storage.weights import read_arrays

if TYPE_CHECKING:
    import keras

_ADVICE = (
    "give the model/ folder of ffn-train or ffn-import; to use a checkpoint of google/ffn, convert it with ffn-import"
)


def write_model(folder: Path, network: NetworkSpec, weights: dict[str, np.ndarray], step: int) -> None:
    """Writes the model.

    Args:
      weights: arrays by google/ffn's names, see `floodrunner.segmentation.ffn.network.weights`.
      step: number of training steps that led to these weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with create_hdf5(folder / "weights.h5") as file:
        for name, array in weights.items():
            file[name] = array
    text = json.dumps(_settings(network, step), indent=2)
    (folder / "network.json").write_text(text + "\n", encoding="utf-8")


def _settings(network: NetworkSpec, step: int) -> dict[str, Any]:
    return {
        "depth": network.depth,
        "features": network.features,
        "fov_xyz": network.fov[::-1],
        "deltas_xyz": network.deltas[::-1],
        "step": step,
    }


class _Settings(FieldOfView):
    """`network.json`."""

    depth: Depth
    features: Features
    step: Annotated[int, Field(ge=0, lt=2**31)]


def check(network: NetworkSpec, step: int) -> None:
    """Raises ValueError if `read_weights` would refuse a model of this network and step."""
    try:
        _Settings.model_validate_json(json.dumps(_settings(network, step)))
    except ValidationError as error:
        raise ValueError(problem(error)) from None


def read_head(folder: str | Path) -> tuple[NetworkSpec, int]:
    """Reads the network and its step, without its weights; Keras is not loaded.

    Raises:
      InputError: if the folder does not hold a model of `ffn-train` or `ffn-import`, or `network.json` is damaged.
    """
    folder = Path(folder)
    if not (folder / "network.json").exists():
        raise InputError(
            f"{folder}: not a model that ffn-train or ffn-import wrote (it holds no network.json); {_ADVICE}"
        )
    settings = read_json(folder / "network.json", _Settings, _ADVICE)
    network = NetworkSpec(settings.depth, settings.features, settings.fov_xyz[::-1], settings.deltas_xyz[::-1])
    return network, settings.step


def read_weights(folder: str | Path) -> tuple[NetworkSpec, dict[str, np.ndarray], int]:
    """Reads the network, weights and step that `write_model` wrote.

    Raises:
      InputError: like `read_head`; also if the weights are damaged, or do not fit the network.
    """
    from floodrunner.segmentation.ffn import network as ffn

    network, step = read_head(folder)
    return network, read_arrays(Path(folder) / "weights.h5", ffn.weight_shapes(network), _ADVICE), step


def read_model(folder: str | Path) -> tuple[NetworkSpec, keras.Model]:
    """Reads the description of a network, and builds the model with its weights.

    Raises:
      InputError: like `read_weights`.
    """
    from floodrunner.segmentation.ffn import network as ffn

    network, weights, _ = read_weights(folder)
    model = ffn.build(network)
    ffn.set_weights(model, weights)
    return network, model
