"""Networks that see something without training, as folders that training would have made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.stages.storage import unet_models
from tests.stages.conftest import tissue as tissue
from tests.stages.conftest import uncompiled as uncompiled
from tests.stages.test_ffn_infer import inputs as inputs


@pytest.fixture(scope="session")
def unet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A U-Net with random weights: what it finds means nothing, but it is always the same."""
    import keras

    from floodrunner.segmentation.unet.architectures import classic

    keras.utils.set_random_seed(3)
    network = NetworkSpec("classic", 1, 2, 4)
    folder = tmp_path_factory.mktemp("unet") / "model"
    unet_models.write_model(folder, network, classic.build(network).get_weights(), {})
    return folder


@pytest.fixture
def picture() -> np.ndarray:
    """(y, x) uint8 with a few bright discs."""
    y, x = np.mgrid[:48, :64]
    image = np.random.default_rng(1).integers(20, 40, (48, 64))
    for at_y, at_x in ((12, 12), (30, 40), (20, 55)):
        image[(y - at_y) ** 2 + (x - at_x) ** 2 < 36] += 150
    return image.astype(np.uint8)
