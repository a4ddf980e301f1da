"""The networks: sizes against numbers worked out by hand, reach, and that both back ends train alike."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from floodrunner.segmentation import backend
from floodrunner.segmentation.unet.architectures import ARCHITECTURES, architecture_of, blog, classic
from floodrunner.segmentation.unet.losses import dice_bce
from floodrunner.segmentation.unet.network import NetworkSpec

BLOG_SPEC = NetworkSpec("blog", 1, 8, 64, squash=True)

ROOT = Path(__file__).resolve().parents[3]

BLOG = {  # side of the output, its channels, kernel and biases; worked out from the description
    "down1": (128, 64, 16 * 1 * 64 + 64),
    "down2": (64, 128, 16 * 64 * 128 + 128),
    "down3": (32, 256, 16 * 128 * 256 + 256),
    "down4": (16, 512, 16 * 256 * 512 + 512),
    "down5": (8, 512, 16 * 512 * 512 + 512),
    "down6": (4, 512, 16 * 512 * 512 + 512),
    "down7": (2, 512, 16 * 512 * 512 + 512),
    "down8": (1, 512, 16 * 512 * 512 + 512),
    "up1": (2, 512, 4 * 512 * 512 + 512),
    "up2": (4, 512, 4 * 1024 * 512 + 512),
    "up3": (8, 512, 4 * 1024 * 512 + 512),
    "up4": (16, 512, 4 * 1024 * 512 + 512),
    "up5": (32, 256, 4 * 1024 * 256 + 256),
    "up6": (64, 128, 4 * 512 * 128 + 128),
    "up7": (128, 64, 4 * 256 * 64 + 64),
    "up8": (256, 1, 4 * 128 * 1 + 1),
}


@pytest.mark.parametrize(
    "network",
    [
        NetworkSpec("classic", 1, 1, 1),
        NetworkSpec("classic", 3, 3, 5),
        NetworkSpec("blog", 1, 8, 2, squash=True),
        NetworkSpec("blog", 3, 4, 3, squash=True),
    ],
)
def test_the_shapes_of_the_weights_are_known_before_building(network: NetworkSpec) -> None:
    architecture = architecture_of(network)
    assert architecture.weight_shapes(network) == [array.shape for array in architecture.build(network).get_weights()]


def test_the_blogs_network_is_as_described() -> None:
    model = blog.build(BLOG_SPEC)
    assert model.input_shape == (None, 256, 256, 1)
    assert model.output_shape == (None, 256, 256, 1)
    convolutions = [layer for layer in model.layers if "conv2d" in type(layer).__name__.lower()]
    assert [layer.name for layer in convolutions] == list(BLOG)
    for layer in convolutions:
        side, channels, count = BLOG[layer.name]
        assert layer.output.shape == (None, side, side, channels), layer.name
        assert layer.count_params() == count, layer.name
        down = layer.name.startswith("down")
        assert isinstance(layer, layers.Conv2D if down else layers.Conv2DTranspose)
        assert layer.kernel_size == ((4, 4) if down else (2, 2))
        assert layer.strides == (2, 2)
    normalised = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert len(normalised) == 14  # all but the first and the last
    assert [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)] == [0.5] * 3
    leaky = [layer for layer in model.layers if isinstance(layer, layers.LeakyReLU)]
    assert [layer.negative_slope for layer in leaky] == [pytest.approx(0.2)] * 7
    batch_norms = 4 * (128 + 256 + 5 * 512 + 4 * 512 + 256 + 128 + 64)
    assert model.count_params() == sum(count for *_, count in BLOG.values()) + batch_norms == 28_274_817
    assert model.get_layer("up8").activation is keras.activations.sigmoid


def test_the_classic_network_is_as_described() -> None:
    model = classic.build(NetworkSpec("classic", 3, 2, 8))

    def double(before: int, after: int) -> int:
        return 9 * before * after + 9 * after * after + 2 * 4 * after  # kernels, normalisation

    down = double(3, 8) + double(8, 16) + double(16, 32)
    up = (4 * 32 * 16 + 16) + double(32, 16) + (4 * 16 * 8 + 8) + double(16, 8)
    assert model.count_params() == down + up + (8 * 3 + 3)
    assert model.output_shape == (None, None, None, 3)
    assert backend.forward(model)(np.zeros((1, 8, 20, 3), np.float32)).shape == (1, 8, 20, 3)


def test_a_picture_is_the_same_alone_and_in_a_batch() -> None:
    model = classic.build(NetworkSpec("classic", 1, 2, 4))
    given = np.random.default_rng(1).normal(size=(3, 16, 16, 1)).astype(np.float32)
    together = backend.forward(model)(given)
    alone = np.concatenate([backend.forward(model)(each[None]) for each in given])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together) > 0.05


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_part_is_predicted_as_in_the_whole_but_for_the_margin(depth: int) -> None:
    network = NetworkSpec("classic", 1, depth, 4)
    keras.utils.set_random_seed(depth)
    forward, unit, margin = backend.forward(classic.build(network)), classic.multiple(network), classic.margin(network)
    given = np.random.default_rng(2).normal(size=(1, unit, 2 * margin + 8 * unit, 1)).astype(np.float32)
    inside = np.s_[2 * unit : -2 * unit]
    outside = np.ones(given.shape[2], bool)
    outside[inside] = False
    given[:, :, outside] *= 100  # so that the little that comes from far away shows
    differs = np.abs(forward(given)[:, :, inside] - forward(given[:, :, inside]))[0].max((0, 2)) > 1e-6
    same = np.flatnonzero(~differs)
    assert np.ptp(same) + 1 == len(same)
    assert margin - 4 <= same[0] < margin
    assert margin - 4 <= len(differs) - 1 - same[-1] < margin


def test_the_blogs_network_takes_tiles_of_its_one_size() -> None:
    assert blog.tiles(BLOG_SPEC, 2048) == (1, 256, 256, 32)


def test_a_width_makes_the_blogs_network_narrower() -> None:
    model = blog.build(BLOG_SPEC._replace(width=2))
    channels = [layer.filters for layer in model.layers if layer.name.startswith("down")]
    assert channels == [2, 4, 8, 16, 16, 16, 16, 16]
    assert model.output_shape == (None, 256, 256, 1)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_all_architectures_keep_what_they_promise(name: str) -> None:
    architecture = ARCHITECTURES[name]
    choices = architecture.DEFAULTS
    architecture.check(choices)
    network = NetworkSpec(name, 3 if architecture.COLOUR else 1, choices.depth, 2, choices.squash)
    assert architecture_of(network) is architecture
    side = architecture.INPUT_SIZE or 32
    assert side == choices.crop or architecture.INPUT_SIZE is None
    given = np.zeros((1, side, side, network.channels), np.float32)
    found = backend.forward(architecture.folded(network, architecture.build(network)))(given)
    assert found.shape == (1, side, side, architecture.OUTPUTS)
    tiles = architecture.tiles(network, 512)
    assert tiles.longest >= tiles.shortest >= tiles.multiple
    if architecture.INPUT_SIZE is None:
        with pytest.raises(ValueError, match="squash"):
            architecture.check(choices._replace(squash=True))


@pytest.mark.parametrize(("channels", "depth"), [(1, 1), (3, 3)])
def test_the_network_without_its_normalisation_predicts_the_same(channels: int, depth: int) -> None:
    network = NetworkSpec("classic", channels, depth, 4)
    model, generator = classic.build(network), np.random.default_rng(6)
    model.set_weights([w + generator.uniform(-0.2, 0.2, w.shape) * (w.ndim == 1) for w in model.get_weights()])
    before, plain = model.get_weights(), classic.folded(network, model)
    given = generator.normal(size=(2, 24, 40, channels)).astype(np.float32)
    expected, found = backend.forward(model)(given), backend.forward(plain)(given)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert all(map(np.array_equal, model.get_weights(), before))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in plain.layers)


def test_the_blogs_network_keeps_its_normalisation() -> None:
    model = blog.build(BLOG_SPEC)
    assert blog.folded(BLOG_SPEC, model) is model


def test_a_training_step_descends() -> None:
    keras.utils.set_random_seed(1)
    model = classic.build(NetworkSpec("classic", 1, 2, 8))
    step = backend.training_step(model, keras.optimizers.Adam(0.005), dice_bce)
    generator = np.random.default_rng(4)
    given = generator.normal(size=(2, 16, 16, 1)).astype(np.float32)
    target = np.repeat(given > 0.5, 3, axis=3).astype(np.float32)
    losses = [step(given, target)[0] for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]
