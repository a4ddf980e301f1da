"""Draws the pictures that training does not see: for a test, or for validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def drawn(with_cells: Sequence[bool], count: int, needed: int, generator: np.random.Generator) -> list[int]:
    """Draws pictures at random. Pictures with cells and empty ones are drawn in the proportion in which they occur.

    A test or a validation without any cell says nothing about how well cells are found. So at least one of the pictures
    that are drawn has cells, unless all pictures with cells are needed elsewhere.

    Args:
      with_cells: for each picture, whether it has cells; at least one has.
      count: how many pictures to draw; fewer are drawn if too few are left.
      needed: how many pictures with cells must not be drawn.

    Returns:
      Numbers of the pictures drawn, in the order in which they were drawn; at least one, if there are more pictures
      than `needed`.
    """
    order = generator.permutation(len(with_cells)).tolist()
    if all(with_cells):
        return order[:count]
    full, empty = ([number for number in order if with_cells[number] is kind] for kind in (True, False))
    share = max(round(count * len(full) / len(order)), 1)
    full = full[: max(min(share, len(full) - needed), 0)]
    return full + empty[: count - len(full)]
