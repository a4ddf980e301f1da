"""Models on disk that were edited or damaged: refused in one line, before a network is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn import network as ffn
from floodrunner.segmentation.unet.architectures import architecture_of
from floodrunner.segmentation.unet.network import NetworkSpec
from floodrunner.stages.storage import ffn_models, unet_models

RNG = np.random.default_rng(1)
FFN = ffn.NetworkSpec(2, 3, (5, 7, 9), (1, 2, 3))
UNET = NetworkSpec("classic", 1, 2, 2)


@pytest.fixture(params=["ffn", "unet"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    if kind == "ffn":
        named = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in ffn.weight_shapes(FFN).items()}
        ffn_models.write_model(folder, FFN, named, 7)
    else:
        shapes = architecture_of(UNET).weight_shapes(UNET)
        arrays = [RNG.random(shape, np.float32) for shape in shapes]
        unet_models.write_model(folder, UNET, arrays, {"step": 7, "validation": ["a"]})
    return folder


@pytest.fixture
def read(kind: str) -> Callable[[Path], Any]:
    return ffn_models.read_model if kind == "ffn" else unet_models.read_model


def refusal(read: Callable[[Path], Any], folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(folder)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert message.isprintable()
    assert len(message) < len(str(folder)) + 330
    return message.removeprefix(str(folder))


def test_what_was_written_is_read(kind: str, model: Path, read: Callable[[Path], Any]) -> None:
    network, built = read(model)
    assert network == (FFN if kind == "ffn" else UNET)
    assert len(built.get_weights()) > 8


EDITS = [
    ("depth", 100_000, "depth: found 100000; input should be less than or equal to"),
    ("depth", 1e400, "Infinity is not a number"),
    ("depth", 10**400, "depth: found 1000"),
    ("depth", "2", "depth: found '2'; input should be a valid integer"),
    ("depth", 0, "depth: found 0; input should be greater than or equal to 1"),
    ("depth", 3, "weights.h5: does not fit network.json: the weights"),
    ("more", 3, "more is not a key that a stage writes"),
    ("step", -1, "step: found -1; input should be greater than or equal to 0"),
]
FFN_EDITS = [
    ("features", 10**9, "features: found 1000000000; input should be less than or equal to 512"),
    ("features", 512, "the weights seed_update/conv0_a/weights are float32 (3, 3, 3, 2, 3), not (3, 3, 3, 2, 512)"),
    ("fov_xyz", [9, 8, 5], "fov_xyz.1: found 8; 8 is even; a field of view needs a voxel at its centre"),
    ("fov_xyz", [9, 7], "fov_xyz.2 is missing"),
    ("fov_xyz", [999, 999, 999], "fov_xyz [999, 999, 999] are 997,002,999 voxels; use at most 10,000,000"),
    ("deltas_xyz", [400, 2, 1], "deltas_xyz [400, 2, 1] are too large for fov_xyz [9, 7, 5]"),
    ("deltas_xyz", [0, 0, 0], "deltas_xyz are all 0"),
    ("deltas_xyz", [-1, 2, 1], "deltas_xyz.0: found -1; input should be greater than or equal to 0"),
]
UNET_EDITS = [
    ("architecture", "vgg", "architecture: found 'vgg', not classic or blog"),
    ("architecture", "blog", "does not fit network.json"),
    ("channels", 2, "channels: found 2; input should be 1 or 3"),
    ("channels", 3, "the weights 000 are float32 (3, 3, 1, 2), not (3, 3, 3, 2)"),
    ("width", 1024, "the weights 000 are float32 (3, 3, 1, 2), not (3, 3, 1, 1024)"),
    ("width", 10**9, "width: found 1000000000; input should be less than or equal to 1024"),
    ("squash", 1, "squash: found 1; input should be a valid boolean"),
    ("validation", [7], "validation.0: found 7; input should be a valid string"),
]


@pytest.mark.parametrize(
    ("kind", "key", "value", "words"),
    [
        *[("ffn", *edit) for edit in EDITS + FFN_EDITS],
        *[("unet", *edit) for edit in EDITS + UNET_EDITS],
    ],
    indirect=["kind"],
    ids=lambda value: repr(value)[:20],
)
def test_an_edited_description_is_refused(
    kind: str, model: Path, read: Callable[[Path], Any], key: str, value: Any, words: str
) -> None:
    file = model / "network.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    assert words in refusal(read, model)


def _set(file: h5py.File, name: str, array: np.ndarray) -> None:
    del file[name]
    file[name] = array


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file, name: _set(file, name, file[name][...] * np.nan), "are not finite numbers; give the model of"),
        (lambda file, name: _set(file, name, file[name][...] + np.inf), "are not finite numbers; give the model of"),
        (lambda file, name: _set(file, name, file[name][...].astype(np.int32)), "int32"),
        (lambda file, name: _set(file, name, np.zeros((2, 2), np.float32)), "are float32 (2, 2), not (3, 3"),
        (lambda file, name: file.pop(name), "are only in the network"),
        (lambda file, name: file.create_dataset("zz", data=[1.0]), "the weights zz are only in the file"),
        (lambda file, name: file.create_dataset("z\x1b[31m", data=[1.0]), "the weights z?[31m are only in the file"),
    ],
)
def test_weights_that_are_not_those_of_the_network_are_refused(
    kind: str, model: Path, read: Callable[[Path], Any], change: Callable[[h5py.File, str], Any], words: str
) -> None:
    with h5py.File(model / "weights.h5", "r+") as file:
        change(file, "seed_update/conv0_a/weights" if kind == "ffn" else "000")
    assert words in refusal(read, model)


def test_weights_that_were_never_written_are_refused(tmp_path: Path) -> None:
    """A network of 2 GB by its head, in a file of a few kilobytes."""
    spec = ffn.NetworkSpec(40, 512, (5, 7, 9), (1, 2, 3))
    ffn_models.write_model(tmp_path / "model", spec, {}, 1)
    with h5py.File(tmp_path / "model" / "weights.h5", "w") as file:
        for name, shape in ffn.weight_shapes(spec).items():
            file.create_dataset(name, shape, np.float32)
    assert "is incomplete: it holds 0 bytes of weights" in refusal(ffn_models.read_model, tmp_path / "model")


def test_weights_that_were_packed_again_are_read(model: Path, read: Callable[[Path], Any]) -> None:
    with h5py.File(model / "weights.h5") as old, h5py.File(model / "packed.h5", "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                new.create_dataset(name, data=item[...], compression="gzip", shuffle=True)

        old.visititems(copy)
    (model / "packed.h5").replace(model / "weights.h5")
    read(model)


def test_a_folder_without_a_model(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    assert "it holds no network.json" in refusal(read, tmp_path)
    assert "it holds no network.json" in refusal(read, tmp_path / "none")


@pytest.mark.parametrize(
    ("network", "step", "words"),
    [
        (FFN._replace(depth=101), 1, "depth: found 101"),
        (FFN._replace(fov=(4, 7, 9)), 1, "fov_xyz.2: found 4; 4 is even"),
        (FFN, 2**31, "step: found 2147483648"),
    ],
)
def test_a_network_that_could_not_be_read_again_is_known_before(
    network: ffn.NetworkSpec, step: int, words: str
) -> None:
    ffn_models.check(FFN, 7)
    with pytest.raises(ValueError, match=words):
        ffn_models.check(network, step)
