"""Finds out which way labels lie on an image: as they are, mirrored, turned, moved, or with sections reversed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import uniform_filter

from floodrunner.segmentation.alignment import boundaries

WINDOW: Final = 1024
"""Largest side, in pixels, of the middle part of an image that `find_turn` looks at."""

_LEAST = 0.001  # smallest share of an image that outlines or areas cover, and that other pixels cover
_FACTOR = 1.4  # of the largest contrast elsewhere, of labels that are moved, and of sections in the right order
_AROUND = 31  # pixels: differences of brightness over larger distances are taken out before labels are compared
_NEAR = 2  # pixels by which labels may be off
_APART = 16  # pixels: from this distance on, a place counts as another one
_CERTAIN = 6.0  # smallest contrast that counts as found, in standard deviations of the contrast at other places
_CLEARER = 3.0  # turned labels must fit this much better than labels as they lie
_NONE = 0.15  # contrast; labels that fit have more
_MOVED, _MOVED_CERTAIN = 4, 8.0  # pixels, and deviations, from which on labels count as moved

_REVERSED = "put in the reverse order of sections"
_Way = Callable[[np.ndarray], np.ndarray]


def _as_they_lie(labels: np.ndarray) -> np.ndarray:
    return labels


_MIRRORED: Final[dict[str, _Way]] = {
    "mirrored left to right": lambda labels: labels[:, ::-1],
    "mirrored top to bottom": lambda labels: labels[::-1],
    "turned by 180 degrees": lambda labels: labels[::-1, ::-1],
}
_TURNED: Final[dict[str, _Way]] = {
    "transposed (x and y swapped)": lambda labels: labels.T,
    "turned by 90 degrees to the left": lambda labels: np.rot90(labels),
    "turned by 90 degrees to the right": lambda labels: np.rot90(labels, -1),
    "transposed and turned by 180 degrees": lambda labels: labels[::-1, ::-1].T,
}


class Turn(NamedTuple):
    """Which way labels fit an image, as found by `find_turn`.

    Attributes:
      how: what must be done to the labels so that they fit, such as "mirrored left to right"; empty if they fit as they
        lie, or if no other way is clearly better.
      there: contrast after that, or after the move; equal to `here` if there is neither.
      here: contrast of the labels as they lie, in standard deviations of the image.
      clear: whether the labels clearly fit, as they lie or after that.
      nowhere: whether the labels fit in no way, although they are large enough to tell.
      by: y and x, pixels, by which labels fit better if they are moved down and to the right. Labels of a few bright
        objects also fit on others that are brighter, so this is no proof.
    """

    how: str
    there: float
    here: float
    clear: bool
    nowhere: bool = False
    by: tuple[int, int] | None = None


class _Fit(NamedTuple):
    contrast: float
    deviation: float  # of the contrast at other places
    elsewhere: float  # largest contrast at another place

    @property
    def certainty(self) -> float:
        return self.contrast / self.deviation if self.deviation else 0.0

    @property
    def clear(self) -> bool:
        return self.certainty >= _CERTAIN and self.contrast >= _FACTOR * self.elsewhere

    def rank(self) -> tuple[bool, float]:
        return self.clear, self.certainty


def middle(shape: tuple[int, int]) -> tuple[slice, slice]:
    """Returns the middle of an image, at most `WINDOW` pixels a side; it stays in place if the image is turned."""
    y, x = (slice((n - side) // 2, (n + side) // 2) for n in shape for side in [min(n, WINDOW - n % 2)])
    return y, x


def find_turn(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    square: bool = True,
    reverse: Callable[[], Sequence[np.ndarray]] | None = None,
) -> Turn | None:
    """Finds out whether labels fit an image better if they are transposed, mirrored or turned.

    Labels fit if the image is darker or brighter on their outlines (membranes), or inside of them (nuclei, organelles),
    than elsewhere. This contrast, in standard deviations of the image, is measured for the labels as they lie and,
    unless that is clear, for the 3 other ways in which labels can lie on a rectangle, or 7 on a square. Labels that are
    moved over the image tell how much contrast there is by chance; a cross-correlation gives it for all distances.

    Args:
      images: (y, x) grey values, all of one size: one picture, or some sections of a stack.
      labels: (y, x) integers or bool, 0 = none; one for each image and of its size. All must lie the same way.
      square: whether the whole images are square, if these are parts of them (see `middle`).
      reverse: returns the images of the sections that have the same numbers counted from the other end of the stack.
        Sections near the middle tell little about the order.

    Returns:
      None if no image has contrast or no labels have outlines. `how` is not empty only if the contrast there is at
      least 6 times the standard deviation of the contrast at other places (more than 16 pixels away) and 1.4 times the
      largest of these, and 3 times as far above the deviation as that of the labels as they lie; or, for sections in
      reverse order, 1.4 times, as neighbouring sections are alike. `by` is set only from 4 pixels and 8 deviations on.

    The limits are chosen so that correct labels are never refused. A test takes 216 random crops of SNEMI3D, ISBI 2012
    and the Data Science Bowl 2018 (64, 128 and 256 pixels a side, 1 or 2 sections; as they are, inverted, with noise,
    or with two objects only). No correct labels are found to fit another way, nowhere, or better if moved. Of turned
    labels with all objects, 23 of 54 are found in crops of 64 x 64 pixels, 46 of 54 in crops of 128 x 128, and all in
    crops of 256 x 256. Of 20 reversed crops of SNEMI3D with 256 x 256 pixels, 19 are found with 6 sections, and all
    with 12; no correct one is found to be reversed.
    """
    turns = {"": _as_they_lie} | _MIRRORED
    if square and images[0].shape[0] == images[0].shape[1]:
        turns |= _TURNED
    (surfaces,) = _surfaces(images, labels, [_as_they_lie])
    if not surfaces:
        return None
    own = [_fit(surface) for surface in surfaces]
    here = max(own, key=_Fit.rank)
    moved = _moved(surfaces, own)
    if here.clear:
        if moved is not None:
            return moved
        others = _fits(reverse(), labels, [_as_they_lie])[0] if reverse is not None else []
        there = max(others, key=_Fit.rank, default=here)
        if there.clear and there.certainty >= _FACTOR * here.certainty:
            return Turn(_REVERSED, there.contrast, here.contrast, clear=True)
        return Turn("", here.contrast, here.contrast, clear=True)
    found = dict(zip(turns, _fits(images, labels, list(turns.values())), strict=True))
    if reverse is not None:
        backwards = _fits(reverse(), labels, list(turns.values()))
        found |= {
            f"{how} and {_REVERSED}" if how else _REVERSED: fits for how, fits in zip(turns, backwards, strict=True)
        }
    del found[""]
    how, there = max(((how, fit) for how, fits in found.items() for fit in fits), key=lambda pair: pair[1].rank())
    if there.clear and there.certainty >= _CLEARER * max(fit.certainty for fit in own):
        return Turn(how, there.contrast, here.contrast, clear=True)
    if moved is not None:
        return moved
    nowhere = all(fit.contrast + 2 * fit.deviation < _NONE for fit in own)
    return Turn("", here.contrast, here.contrast, clear=False, nowhere=nowhere)


def _moved(surfaces: list[np.ndarray], own: list[_Fit]) -> Turn | None:
    """Returns how labels must be moved if they fit clearly better then: by outlines or areas, whichever is clearer."""
    peaks = [np.unravel_index(int(np.argmax(surface)), surface.shape) for surface in surfaces]
    fits = [_fit(surface, (int(y), int(x))) for surface, (y, x) in zip(surfaces, peaks, strict=True)]
    k = max(range(len(fits)), key=lambda k: fits[k].certainty)
    y, x = ((int(at) + n // 2) % n - n // 2 for at, n in zip(peaks[k], surfaces[k].shape, strict=True))
    far = max(abs(y), abs(x)) > _MOVED
    if not (far and fits[k].clear and fits[k].certainty >= _MOVED_CERTAIN):
        return None
    if fits[k].contrast < _FACTOR * own[k].contrast:
        return None
    return Turn("", fits[k].contrast, own[k].contrast, clear=True, by=(y, x))


def _fits(images: Sequence[np.ndarray], labels: Sequence[np.ndarray], turns: Sequence[_Way]) -> list[list[_Fit]]:
    """Measures how well outlines, and areas, of labels fit: for each way to turn them, one or two fits, or none."""
    return [[_fit(surface) for surface in surfaces] for surfaces in _surfaces(images, labels, turns)]


def _surfaces(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], turns: Sequence[_Way]
) -> Iterator[list[np.ndarray]]:
    """Yields, for each way to turn the labels, the contrasts of their outlines and of their areas at all moves.

    Each is (y, x) float32, at least 0: the contrast if the labels are moved down by y and right by x, round the edge.
    """
    shape = images[0].shape
    sums = np.zeros((len(turns), 2, shape[0], shape[1] // 2 + 1), np.complex64)
    weights = np.zeros(2)
    for image, ids in zip(images, labels, strict=True):
        grey = image.astype(np.float32)
        grey -= uniform_filter(grey, _AROUND)
        deviation = grey.std()
        if not deviation:
            continue
        spectrum = rfft2(grey / deviation)
        for k, mask in enumerate((boundaries(ids), ids != 0)):
            share = float(mask.mean())
            if not _LEAST < share < 1 - _LEAST:
                continue
            weights[k] += share * (1 - share) * mask.size
            centred = mask.astype(np.float32) - np.float32(share)
            for of_turn, turn in zip(sums, turns, strict=True):
                of_turn[k] += spectrum * np.conj(rfft2(turn(centred)))
    measured = [k for k in range(2) if weights[k]]
    for of_turn in sums:
        yield [np.abs(irfft2(of_turn[k], shape) / np.float32(weights[k])) for k in measured]


def _fit(contrasts: np.ndarray, at: tuple[int, int] = (0, 0)) -> _Fit:
    """Compares the contrast at one move, y and x, with that at all others; see `_surfaces`."""
    contrasts = np.roll(contrasts, [n // 2 - by for n, by in zip(contrasts.shape, at, strict=True)], (0, 1))
    near, around = (
        tuple(slice(max(0, n // 2 - distance), n // 2 + distance + 1) for n in contrasts.shape)
        for distance in (_NEAR, min(_APART, min(contrasts.shape) // 8))
    )
    contrast = float(contrasts[near].max())
    contrasts[around] = 0
    others = contrasts.size - contrasts[around].size
    return _Fit(contrast, float(np.sqrt(np.sum(contrasts**2, dtype=np.float64) / others)), float(contrasts.max()))
