"""A trained U-Net on disk: a folder with `network.json` and `weights.h5`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from contract.stage import InputError
from segmentation.unet.network import Network
from stages.storage.hdf5 import create_hdf5

if TYPE_CHECKING:
    import keras


def write_model(folder: Path, network: Network, weights: Sequence[np.ndarray], about: dict[str, Any]) -> None:
    """Writes the model; `weights` in Keras's order, `about` is what else to say of it (how far it was trained)."""
    folder.mkdir(parents=True, exist_ok=True)
    with create_hdf5(folder / "weights.h5") as file:
        for i, array in enumerate(weights):
            file[f"{i:03d}"] = array
    text = json.dumps(network._asdict() | about, indent=2)
    (folder / "network.json").write_text(text + "\n", encoding="utf-8")


def read_model(folder: str | Path) -> tuple[Network, keras.Model]:
    """The network with its weights.

    Raises:
      InputError: if the folder is no model of ours, or the weights do not fit the network.
    """
    from segmentation.unet import network as unet

    folder = Path(folder)
    try:
        about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        network = Network(
            architecture=about["architecture"],
            channels=int(about["channels"]),
            depth=int(about["depth"]),
            width=int(about["width"]),
            squash=bool(about["squash"]),
        )
        model = unet.build(network)
        with h5py.File(folder / "weights.h5", "r") as file:
            model.set_weights([file[name][...] for name in sorted(file)])
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{folder}: is not a model that this version's unet-train wrote ({reason}); name its model/ folder, or "
            "train again"
        ) from None
    return network, model
