"""Reads and writes checkpoints of TensorFlow 1, which google/ffn uses: `model.ckpt-7000000.index` and `.data-...`.

Only TensorFlow can read and write these files, and it needs the prefix that their names share. So this module takes
paths, unlike the rest of this package.
"""

from __future__ import annotations

import glob
import math
import re
from pathlib import Path

import numpy as np

from floodrunner.segmentation import backend  # noqa: F401  # imported before TensorFlow, to set its log level
from floodrunner.segmentation.ffn.network import check_weights, weight_shapes
from floodrunner.segmentation.ffn.spec import NetworkSpec, Triple

_STEP = "global_step"
_OURS = re.compile(r"seed_update/conv(\d+_[ab]|_lom)/(weights|biases)")


def read(prefix: Path) -> tuple[dict[str, np.ndarray], int]:
    """Reads the step and the weights, by the names that `network.weights` uses. Optimiser variables are left out.

    Args:
      prefix: common beginning of the files' paths, such as `checkpoint/model.ckpt-7000000`.

    Raises:
      ValueError: if files are missing or damaged, or do not hold a ConvStack3DFFNModel.
    """
    import tensorflow as tf

    try:
        try:
            reader = tf.train.load_checkpoint(str(prefix))
        except MemoryError:  # the index takes a few kilobytes; damaged, it asks for any amount
            raise ValueError("its index asks for more memory than there is") from None
        shapes = reader.get_variable_to_shape_map()
        ours = sorted(name for name in shapes if _OURS.fullmatch(name))
        _check_size(prefix, [shapes[name] for name in ours])
        weights = {name: reader.get_tensor(name) for name in ours}
        step = int(reader.get_tensor(_STEP)) if _STEP in shapes else 0
    # IndexError: the data file is too short. RuntimeError, SystemError and TypeError: a value of an odd type.
    except (tf.errors.OpError, IndexError, RuntimeError, SystemError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"the files are missing, truncated or damaged; copy them again ({reason})") from None
    if "seed_update/conv0_a/weights" not in weights:
        held = ", ".join(sorted(shapes)[:3]) or "nothing"
        raise ValueError(f"holds no ConvStack3DFFNModel of google/ffn: no seed_update/conv0_a/weights, but {held}")
    if odd := [name for name, array in weights.items() if array.dtype.kind != "f"]:
        raise ValueError(f"the weights {odd[0]} are {weights[odd[0]].dtype}, not floating-point numbers")
    return weights, step


def _check_size(prefix: Path, shapes: list[list[int]]) -> None:
    """Raises ValueError, before memory is asked for, if the files with the data are smaller than what they hold."""
    data = sum(file.stat().st_size for file in prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
    expected = sum(2 * math.prod(shape) for shape in shapes)  # bytes; no weights have fewer than 16 bits
    if min((size for shape in shapes for size in shape), default=0) < 0 or expected > data:
        raise ValueError(f"weights of {expected:,} bytes or more, but {data:,} bytes of data")


def write(prefix: Path, weights: dict[str, np.ndarray], step: int) -> None:
    """Writes weights, with the names that `read` returns, and the step, so that google/ffn can load them for inference.

    Also writes the file `checkpoint` in the same folder, which tells TensorFlow the newest checkpoint.
    """
    import tensorflow as tf

    # 32 bits, as google/ffn's graph defines it: tf.Variable(0).
    named = {**weights, _STEP: np.int32(step)}
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(named),
        shape_and_slices=[""] * len(named),
        tensors=[tf.constant(array) for array in named.values()],
    )
    tf.compat.v1.train.update_checkpoint_state(str(prefix.parent), prefix.name)


def network_of(weights: dict[str, np.ndarray], fov: Triple, deltas: Triple) -> NetworkSpec:
    """Describes the network that has these weights. Depth and features follow from the weights, but not fov and deltas
    (both z, y, x).

    Raises:
      ValueError: if weights are missing, or have shapes that do not belong to one network; the message names one.
    """
    depth = sum(name.endswith("_a/weights") for name in weights)
    features = weights["seed_update/conv0_a/weights"].shape[-1:]
    network = NetworkSpec(depth, features[0] if features else 0, fov, deltas)
    check_weights(weights, weight_shapes(network))
    return network
