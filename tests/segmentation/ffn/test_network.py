"""The network: its shape and its names. That both back ends compute the same is in test_back_ends.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from floodrunner.segmentation import backend
from floodrunner.segmentation.ffn import network as ffn

SMALL = ffn.NetworkSpec(depth=3, features=4, fov=(5, 9, 9), deltas=(1, 2, 2))


def test_parameters_are_those_of_the_paper() -> None:
    paper = ffn.NetworkSpec(depth=9, features=32, fov=(17, 33, 33), deltas=(4, 8, 8))
    model = ffn.build(paper)
    first, middle, last = 27 * 2 * 32 + 32, 17 * (27 * 32 * 32 + 32), 32 + 1
    assert model.count_params() == first + middle + last
    named = ffn.weights(model)
    assert named["seed_update/conv0_a/weights"].shape == (3, 3, 3, 2, 32)
    assert named["seed_update/conv8_b/biases"].shape == (32,)
    assert named["seed_update/conv_lom/weights"].shape == (1, 1, 1, 32, 1)
    assert len(named) == 2 * 19


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_shapes_of_the_weights_are_known_before_building(depth: int) -> None:
    network = SMALL._replace(depth=depth)
    built = {name: array.shape for name, array in ffn.weights(ffn.build(network)).items()}
    assert ffn.weight_shapes(network) == built


def test_the_output_is_the_mask_given_plus_an_update() -> None:
    model = ffn.build(SMALL)
    zeros = {name: np.zeros_like(array) for name, array in ffn.weights(model).items()}
    ffn.set_weights(model, zeros)
    given = np.random.default_rng(1).normal(size=(2, 5, 9, 9, 2)).astype(np.float32)
    np.testing.assert_array_equal(backend.forward(model)(given), given[..., 1:])


def test_forward_equals_a_plain_convolution_stack() -> None:
    from scipy.ndimage import correlate

    model = ffn.build(SMALL)
    generator = np.random.default_rng(2)
    named = {k: generator.normal(0, 0.3, v.shape).astype(np.float32) for k, v in ffn.weights(model).items()}
    ffn.set_weights(model, named)

    def convolve(x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = named[f"seed_update/{name}/weights"], named[f"seed_update/{name}/biases"]
        channels = [
            sum(correlate(x[..., i], kernel[..., i, o], mode="constant") for i in range(x.shape[-1])) + bias[o]
            for o in range(kernel.shape[-1])
        ]
        return np.stack(channels, -1)

    given = generator.normal(size=(5, 9, 9, 2)).astype(np.float32)
    x = convolve(np.maximum(convolve(given, "conv0_a"), 0), "conv0_b")
    for i in range(1, SMALL.depth):
        x = x + convolve(np.maximum(convolve(np.maximum(x, 0), f"conv{i}_a"), 0), f"conv{i}_b")
    expected = given[..., 1:] + convolve(np.maximum(x, 0), "conv_lom")
    np.testing.assert_allclose(backend.forward(model)(given[None])[0], expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_depth_are_refused_by_name() -> None:
    deeper = ffn.weights(ffn.build(SMALL._replace(depth=4)))
    with pytest.raises(ValueError, match=r"seed_update/conv3_a/biases.*is the depth wrong\?"):
        ffn.set_weights(ffn.build(SMALL), deeper)


def test_loss_is_sigmoid_cross_entropy() -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 10, (2, 3, 3, 3, 1))
    target = generator.random(logits.shape)
    p = 1 / (1 + np.exp(-logits))
    expected = -np.mean(target * np.log(p) + (1 - target) * np.log1p(-p))
    found = keras.ops.convert_to_numpy(ffn.loss(keras.ops.convert_to_tensor(target), logits))
    assert abs(found - expected) < 1e-5 * expected
    assert np.isfinite(keras.ops.convert_to_numpy(ffn.loss(np.zeros(1), np.array([1e4]))))  # no overflow


def test_a_training_step_descends() -> None:
    keras.utils.set_random_seed(1)
    model = ffn.build(SMALL)
    step = backend.training_step(model, keras.optimizers.Adam(0.01), ffn.loss)
    generator = np.random.default_rng(4)
    given = generator.normal(size=(4, 5, 9, 9, 2)).astype(np.float32)
    target = np.where(given[..., :1] > 0, 0.95, 0.05).astype(np.float32)
    before = backend.forward(model)(given)
    losses, outputs = zip(*(step(given, target) for _ in range(40)), strict=True)
    np.testing.assert_allclose(outputs[0], before, atol=1e-5)  # the output is from before the step
    assert losses[-1] < 0.7 * losses[0]
