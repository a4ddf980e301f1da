"""Loss functions: Dice, binary cross-entropy, and their sum. Arguments are (batch, y, x, k), from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

Loss = Callable[[Any, Any], Any]
"""(target, output) -> scalar."""

_SMOOTH = 1.0
_NEVER = 1e-6  # probabilities are clipped to 1e-6 and 1 - 1e-6; float32 cannot hold values much closer to 1


def dice(target: Any, output: Any) -> Any:
    """Computes 1 - (2 sum(t p) + 1) / (sum(t) + sum(p) + 1), with sums over batch and pixels; mean over the channels.

    Source: Milletari et al., 3DV (2016), but without the squares, as in the blog post that this project started from.
    With the added 1, the loss of an empty target and an empty output is 0, not 0 / 0.
    """
    axes = (0, 1, 2)
    both = ops.sum(target * output, axes)
    either = ops.sum(target, axes) + ops.sum(output, axes)
    return ops.mean(_dice(both, either))


def _dice(both: Any, either: Any) -> Any:
    return 1 - (2 * both + _SMOOTH) / (either + _SMOOTH)


def bce(target: Any, output: Any) -> Any:
    """Computes the mean of -(t log p + (1 - t) log(1 - p)). Targets may lie between 0 and 1.

    Keras's own function is not used, because it recovers the logits before the sigmoid with one back end, but not with
    the other.
    """
    p = ops.clip(output, _NEVER, 1 - _NEVER)
    return -ops.mean(target * ops.log(p) + (1 - target) * ops.log(1 - p))


def dice_bce(target: Any, output: Any) -> Any:
    """Computes the sum of `dice` and `bce`."""
    return dice(target, output) + bce(target, output)


LOSSES: dict[str, Loss] = {"dice": dice, "bce": bce, "dice+bce": dice_bce}


class Pooled:
    """The losses of pictures of any sizes, computed as if all pictures were one batch.

    The mean of the pictures' separate losses would vary a lot with pictures that show almost no cells. Sums are in
    double precision, because single precision would lose small probabilities in sums over millions of pixels.
    """

    def __init__(self) -> None:
        self._both, self._either, self._entropy, self._count = 0.0, 0.0, 0.0, 0

    def add(self, target: np.ndarray, output: np.ndarray) -> None:
        """Adds a picture: target and output, (y, x, k), from 0 to 1."""
        t, p = target.astype(np.float64), output.astype(np.float64)
        self._both = self._both + (t * p).sum((0, 1))
        self._either = self._either + (t + p).sum((0, 1))
        p = np.clip(p, _NEVER, 1 - _NEVER)
        self._entropy -= float((t * np.log(p) + (1 - t) * np.log(1 - p)).sum())
        self._count += t.size

    def value(self, name: str) -> float:
        """Returns the loss of all pictures that were added; `name` is a key of `LOSSES`."""
        parts = {"dice": float(np.mean(_dice(self._both, self._either))), "bce": self._entropy / self._count}
        return sum(parts[part] for part in name.split("+"))
