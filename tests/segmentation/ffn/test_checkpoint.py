"""Checkpoints of TensorFlow 1: read back what TensorFlow's own Saver wrote, and the other way round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from floodrunner.segmentation.ffn import checkpoint
from floodrunner.segmentation.ffn import network as ffn

SMALL = ffn.NetworkSpec(depth=3, features=4, fov=(5, 9, 9), deltas=(1, 2, 2))


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {k: generator.normal(size=v.shape).astype(np.float32) for k, v in ffn.weights(ffn.build(SMALL)).items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def test_what_was_written_is_read(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "model.ckpt-70", weights, 70)
    read, step = checkpoint.read(tmp_path / "model.ckpt-70")
    assert same(read, weights)
    assert step == 70
    assert {p.name for p in tmp_path.iterdir()} == {
        "checkpoint",
        "model.ckpt-70.index",
        "model.ckpt-70.data-00000-of-00001",
    }


def test_a_graph_of_tensorflow_1_restores_it(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """As google/ffn's run_inference.py does: a graph with its variables, and a Saver over all of them."""
    import tensorflow.compat.v1 as tf1

    checkpoint.write(tmp_path / "model.ckpt-70", weights, 70)
    newest = tf1.train.latest_checkpoint(str(tmp_path))
    with tf1.Graph().as_default(), tf1.Session() as session:
        step = tf1.Variable(0, name="global_step", trainable=False)
        with tf1.variable_scope("seed_update"):
            variables = {
                name: tf1.get_variable(name.removeprefix("seed_update/"), array.shape)
                for name, array in weights.items()
            }
        tf1.train.Saver().restore(session, newest)
        assert session.run(step) == 70
        assert same(session.run(variables), weights)


def test_what_an_optimiser_keeps_is_left_out(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    import tensorflow.compat.v1 as tf1

    with tf1.Graph().as_default(), tf1.Session() as session:
        for name, array in weights.items():
            tf1.get_variable(name, initializer=array)
            tf1.get_variable(f"{name}/Momentum", initializer=array + 1)
        tf1.get_variable("global_step", initializer=np.int64(9))
        session.run(tf1.global_variables_initializer())
        prefix = tf1.train.Saver().save(session, str(tmp_path / "m"), global_step=9, write_meta_graph=False)
    read, step = checkpoint.read(Path(prefix))
    assert same(read, weights)
    assert step == 9


def test_depth_and_features_show_in_the_weights(weights: dict[str, np.ndarray]) -> None:
    assert checkpoint.network_of(weights, SMALL.fov, SMALL.deltas) == SMALL


@pytest.mark.parametrize("damage", ["missing", "no data", "short data", "short index", "text"])
def test_damaged_files_are_refused(weights: dict[str, np.ndarray], tmp_path: Path, damage: str) -> None:
    prefix = tmp_path / "model.ckpt-70"
    checkpoint.write(prefix, weights, 70)
    data, index = (Path(f"{prefix}.{suffix}") for suffix in ("data-00000-of-00001", "index"))
    if damage == "missing":
        index.unlink()
    elif damage == "no data":
        data.unlink()
    elif damage == "text":
        index.write_text("this is no checkpoint")
    else:
        cut = data if damage == "short data" else index
        cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(ValueError, match="the files are missing, truncated or damaged"):
        checkpoint.read(prefix)


def test_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "m", {"dense/kernel": np.ones((2, 2), np.float32)}, 1)
    with pytest.raises(ValueError, match="no seed_update/conv0_a/weights, but dense/kernel, global_step"):
        checkpoint.read(tmp_path / "m")


@pytest.mark.real_data
def test_the_logits_are_those_of_google_ffn(shared: Path) -> None:
    from floodrunner.segmentation import backend

    weights, step = checkpoint.read(shared / "snemi3d" / "checkpoint" / "model.ckpt-7000000")
    network = checkpoint.network_of(weights, (17, 33, 33), (4, 8, 8))
    assert (network.depth, network.features, step) == (9, 32, 7_000_000)
    model = ffn.build(network)
    ffn.set_weights(model, weights)
    expected = np.load(shared / "snemi3d" / "reference" / "forward.npz", allow_pickle=False)
    logits = backend.forward(model)(np.stack([expected["image"], expected["seed"]], -1))[..., 0]
    assert logits.shape == (12, 17, 33, 33)
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)
