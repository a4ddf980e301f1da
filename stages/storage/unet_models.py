"""A trained U-Net on disk: a folder with `network.json` and `weights.h5`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.stage import InputError
from segmentation.unet.network import NetworkSpec
from stages.storage.hdf5 import create_hdf5
from stages.storage.weights import read_arrays

if TYPE_CHECKING:
    import keras


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


def read_model(folder: str | Path) -> tuple[NetworkSpec, keras.Model]:
    """Reads the description of a network, and builds the model with its weights.

    Raises:
      InputError: if the folder does not hold a model of `unet-train`, or the weights do not fit the network.
    """
    from segmentation.unet.architectures import architecture_of

    folder = Path(folder)
    try:
        about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        network = NetworkSpec(
            architecture=about["architecture"],
            channels=int(about["channels"]),
            depth=int(about["depth"]),
            width=int(about["width"]),
            squash=bool(about["squash"]),
        )
        model = architecture_of(network).build(network)
        model.set_weights(list(read_arrays(folder / "weights.h5").values()))  # sorted by name
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{folder}: not a model that unet-train of this version wrote ({reason}); give the model/ folder of "
            "unet-train, or train again"
        ) from None
    return network, model
