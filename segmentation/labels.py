"""Ids of labels: those that mean "none", ids as colours and greys, and the connected pieces of a label volume."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

CONNECTIVITY: Final = 26
"""Voxels that share a face, an edge or a corner are connected. With thick sections, the cross-sections of a thin
oblique neurite may touch only at a corner."""

NONE_IDS: Final = (*(2**bits - k for bits in (64, 32) for k in (1, 2, 3)), 2**63 - 1, 2**31 - 1, -1, -2, -3)
"""Ids that mean "none" in types of 32 or 64 bits; the negative ones in any type.

The three largest of a type, which are -1, -2, -3 in a signed type, are background, invalid and outside in CREMI,
Paintera and BigCat; the largest of a signed type marks what is missing in others."""


def clear_unlabelled(ids: np.ndarray, also: Sequence[int] = ()) -> tuple[np.ndarray, dict[int, int]]:
    """Sets ids that mean "none" to 0: those in `NONE_IDS`, and others if they are given.

    Args:
      ids: integers or bool of any shape; not changed.
      also: other ids that mean "none".

    Returns:
      The ids, the same array if there was nothing to do; and, for each id that was found, the number of its voxels.
    """
    known = NONE_IDS if ids.dtype.itemsize >= 4 else NONE_IDS[-3:] if ids.dtype.kind == "i" else ()
    if not ids.size or not (known or also):
        return ids, {}
    least, most = int(ids.min()), int(ids.max())
    cleared, found = ids, {}
    for value in {*known, *also} - {0}:
        if least <= value <= most and (here := ids == ids.dtype.type(value)).any():
            cleared = ids.copy() if cleared is ids else cleared
            cleared[here] = 0
            found[value] = int(np.count_nonzero(here))
    return cleared, found


def rgb_to_ids(rgb: np.ndarray) -> np.ndarray:
    """Decodes ids from the colours that VAST exports: id = R << 16 | G << 8 | B.

    Args:
      rgb: (..., 3) uint8.

    Returns:
      (...) uint32.
    """
    red, green, blue = (rgb[..., k].astype(np.uint32) for k in range(3))
    return red << 16 | green << 8 | blue


def ids_to_rgb(ids: np.ndarray) -> np.ndarray:
    """Encodes ids as colours like VAST does; the inverse of `rgb_to_ids`.

    Args:
      ids: (...) integers, 0 or more.

    Returns:
      (..., 3) uint8.

    Raises:
      ValueError: if an id takes more than 24 bits.
    """
    if ids.size and ids.max() >= 2**24:
        raise ValueError(f"id {ids.max()} does not fit into 24 bits of colour")
    return np.stack([ids >> 16 & 255, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)


def to_greys(ids: np.ndarray) -> np.ndarray:
    """Maps ids to grey values 1 to 255, starting again at 1 after 255; only 0 becomes 0.

    Args:
      ids: integers of any shape, 0 or more.

    Returns:
      uint8, same shape.
    """
    return np.where(ids > 0, (ids - (ids > 0)) % 255 + 1, 0).astype(np.uint8)


_LAST_SECTION, _EVERY_SIDE = 2, 63  # see `Pieces.sides`


class Pieces(NamedTuple):
    """The connected pieces of a label volume, numbered from 1.

    Attributes:
      ids: (pieces + 1) uint64, the id of each piece; piece 0 is the background.
      voxels: (pieces + 1) int64, the number of voxels of each piece.
      sides: (pieces + 1) uint8, the sides of the volume that each piece touches: the sum of 1 and 2 (first and last
        section), 4 and 8 (first and last y), 16 and 32 (first and last x).
      numbers: for each slab, (pieces in the slab + 1): the number that each piece of the slab has in the whole volume.
    """

    ids: np.ndarray
    voxels: np.ndarray
    sides: np.ndarray
    numbers: list[np.ndarray]

    def of_ids(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the ids that occur, ascending, without 0; and the numbers of pieces and of voxels of each id."""
        ids, inverse, pieces = np.unique(self.ids[1:], return_inverse=True, return_counts=True)
        voxels = np.zeros(len(ids), np.int64)
        np.add.at(voxels, inverse, self.voxels[1:])
        return ids, pieces, voxels

    def on_every_side(self) -> np.ndarray:
        """Tells for each id, in the order of `of_ids`, whether it touches all six sides of the volume: bool."""
        ids, inverse = np.unique(self.ids[1:], return_inverse=True)
        sides = np.zeros(len(ids), np.uint8)
        np.bitwise_or.at(sides, inverse, self.sides[1:])
        return sides == _EVERY_SIDE


def connected_pieces(slabs: Iterable[np.ndarray]) -> Pieces:
    """Finds the connected pieces (26 neighbours) of a label volume, slab by slab, with one slab in memory at a time.

    The pieces of each slab are found separately. Pieces of the same id that touch across the border between two slabs
    are then joined: they are connected components of a graph.

    Args:
      slabs: consecutive (z, y, x) parts of one volume, integers, 0 = none.
    """
    import cc3d
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids, voxels, starts = [np.zeros(1, np.uint64)], [np.zeros(1, np.int64)], [0]
    sides, touching = [np.zeros(1, np.uint8)], [np.zeros((0, 2), np.int64)]
    total, above = 0, None
    for slab in slabs:
        local, count = cc3d.connected_components(slab, connectivity=CONNECTIVITY, return_N=True)
        id_of = np.zeros(count + 1, np.uint64)
        id_of[local.ravel()] = slab.ravel()
        size = np.bincount(local.ravel(), minlength=count + 1)
        ids.append(id_of[1:])
        voxels.append(size[1:])
        voxels[0] += size[0]
        sides.append(_sides(local, count, first=above is None)[1:])
        # Piece k of this slab has the number total + k in the graph.
        numbered = np.where(local[[0, -1]] > 0, local[[0, -1]].astype(np.int64) + total, 0)
        if above is not None:
            touching.append(_touching(above[0], above[1], slab[0], numbered[0]))
        above = (slab[-1].copy(), numbered[1])
        total += count
        starts.append(total)
    if above is not None:
        sides[-1][np.unique(above[1][above[1] > 0]) - starts[-2] - 1] |= _LAST_SECTION
    one, other = np.concatenate(touching).T
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(total + 1, total + 1))
    count, number = connected_components(graph, directed=False)  # components, in the order of their first pieces
    of_piece, size = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    of_piece[number] = np.concatenate(ids)
    np.add.at(size, number, np.concatenate(voxels))
    of_sides = np.zeros(count, np.uint8)
    np.bitwise_or.at(of_sides, number, np.concatenate(sides))
    numbers = [np.concatenate([[0], number[a + 1 : b + 1]]) for a, b in itertools.pairwise(starts)]
    return Pieces(of_piece, size, of_sides, numbers)


def number_pieces(slabs: Iterable[np.ndarray], pieces: Pieces) -> Iterator[np.ndarray]:
    """Yields, for each slab, the number of the piece that each voxel belongs to, int64.

    Args:
      slabs: the same slabs that were given to `connected_pieces`.
      pieces: the result of `connected_pieces`.
    """
    import cc3d

    for slab, numbers in zip(slabs, pieces.numbers, strict=True):
        yield numbers[cc3d.connected_components(slab, connectivity=CONNECTIVITY)]


def _sides(local: np.ndarray, count: int, first: bool) -> np.ndarray:
    """Returns the sides, except the last section, that each piece of a slab touches: (count + 1) uint8."""
    sides = np.zeros(count + 1, np.uint8)
    planes = [(1, local[0])] if first else []
    planes += [(4, local[:, 0]), (8, local[:, -1]), (16, local[:, :, 0]), (32, local[:, :, -1])]
    for bit, plane in planes:
        sides[np.unique(plane)] |= bit
    return sides


def _touching(ids_above: np.ndarray, above: np.ndarray, ids_below: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Finds pieces of the same id in two neighbouring sections that touch by face, edge or corner: (n, 2) numbers."""
    pairs = []
    height, width = above.shape
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            here = np.s_[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
            there = np.s_[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
            same = (ids_above[here] == ids_below[there]) & (ids_above[here] != 0)
            pairs.append(np.unique(above[here][same] << 32 | below[there][same]))
    both = np.unique(np.concatenate(pairs))
    return np.stack([both >> 32, both & 0xFFFFFFFF], axis=1)
