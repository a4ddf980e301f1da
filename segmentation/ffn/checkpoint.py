"""Checkpoints of TensorFlow 1, as google/ffn trains and infers with: `model.ckpt-7000000.index` and `.data-...`.

A checkpoint is a group of files that TensorFlow alone reads and writes, by what their names begin with: so there are
paths here, where all else in this package has arrays.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from segmentation import backend  # noqa: F401  # before TensorFlow: it says how talkative that is
from segmentation.ffn.network import NetworkSpec, Triple

_STEP = "global_step"
_OURS = re.compile(r"seed_update/conv(\d+_[ab]|_lom)/(weights|biases)")


def read(prefix: Path) -> tuple[dict[str, np.ndarray], int]:
    """The weights by their names (`network.weights` has the same), and the step; what optimisers keep is left out.

    Args:
      prefix: such as `checkpoint/model.ckpt-7000000`.

    Raises:
      ValueError: if the files are missing or damaged, or not of a ConvStack3DFFNModel; says which.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map())
        weights = {name: reader.get_tensor(name) for name in names if _OURS.fullmatch(name)}
        step = int(reader.get_tensor(_STEP)) if _STEP in names else 0
    except (tf.errors.OpError, IndexError, ValueError) as error:  # a shorter data file is an IndexError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"its files are missing, truncated or damaged, copy them again ({reason})") from None
    if "seed_update/conv0_a/weights" not in weights:
        held = ", ".join(names[:3]) or "nothing"
        raise ValueError(f"it is not of google/ffn's ConvStack3DFFNModel: no seed_update/conv0_a/weights, but {held}")
    return weights, step


def write(prefix: Path, weights: dict[str, np.ndarray], step: int) -> None:
    """Writes the weights as `read` gives them, and the step, as google/ffn's graph has them for inference.

    Writes `checkpoint` beside them as well, by which TensorFlow finds the newest in a folder.
    """
    import tensorflow as tf

    # As its graph defines it: tf.Variable(0), 32 bits.
    named = {**weights, _STEP: np.int32(step)}
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(named),
        shape_and_slices=[""] * len(named),
        tensors=[tf.constant(array) for array in named.values()],
    )
    tf.compat.v1.train.update_checkpoint_state(str(prefix.parent), prefix.name)


def network_of(weights: dict[str, np.ndarray], fov: Triple, deltas: Triple) -> NetworkSpec:
    """The network that weights are of. Depth and features show in them; fov and deltas, z, y, x, do not."""
    depth = sum(name.endswith("_a/weights") for name in weights)
    return NetworkSpec(depth, weights["seed_update/conv0_a/weights"].shape[-1], fov, deltas)
