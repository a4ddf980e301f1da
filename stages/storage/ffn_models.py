"""A trained flood-filling network on disk: a folder with `network.json` and `weights.h5`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contract.stage import InputError
from segmentation.ffn.network import NetworkSpec
from stages.storage.hdf5 import create_hdf5
from stages.storage.weights import read_arrays

if TYPE_CHECKING:
    import keras


def write_model(folder: Path, network: NetworkSpec, weights: dict[str, np.ndarray], step: int) -> None:
    """Writes the model.

    Args:
      weights: arrays by google/ffn's names, see `segmentation.ffn.network.weights`.
      step: number of training steps that led to these weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with create_hdf5(folder / "weights.h5") as file:
        for name, array in weights.items():
            file[name] = array
    settings = {
        "depth": network.depth,
        "features": network.features,
        "fov_xyz": network.fov[::-1],
        "deltas_xyz": network.deltas[::-1],
        "step": step,
    }
    (folder / "network.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_weights(folder: str | Path) -> tuple[NetworkSpec, dict[str, np.ndarray], int]:
    """Reads the network, weights and step that `write_model` wrote.

    Raises:
      InputError: if the folder does not hold a model of `ffn-train` or `ffn-import`, or a file in it is damaged.
    """
    folder = Path(folder)
    try:
        settings = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        network = NetworkSpec(
            depth=int(settings["depth"]),
            features=int(settings["features"]),
            fov=tuple(int(v) for v in settings["fov_xyz"][::-1]),  # type: ignore[arg-type]  # three of them
            deltas=tuple(int(v) for v in settings["deltas_xyz"][::-1]),  # type: ignore[arg-type]
        )
        step = int(settings["step"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _no_model(folder, error) from None
    return network, read_arrays(folder / "weights.h5"), step


def read_model(folder: str | Path) -> tuple[NetworkSpec, keras.Model]:
    """Reads the description of a network, and builds the model with its weights.

    Raises:
      InputError: like `read_weights`; also if the weights do not fit the network.
    """
    from segmentation.ffn import network as ffn

    network, weights, _ = read_weights(folder)
    try:
        model = ffn.build(network)
        ffn.set_weights(model, weights)
    except ValueError as error:
        raise _no_model(folder, error) from None
    return network, model


def _no_model(folder: str | Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"{folder}: not a model that ffn-train or ffn-import wrote ({reason}); give the model/ folder of one of these; "
        "to use a checkpoint of google/ffn, convert it with ffn-import"
    )
