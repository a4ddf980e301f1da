"""What is shown with labels: the grey values of the image under them, and the truth beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.contrast import display_range, to_display
from floodrunner.stages.storage.labels import open_labels
from floodrunner.stages.storage.volumes import Place, open_volume
from floodrunner.stages.storage.words import box

Part = Callable[..., np.ndarray]
"""Returns a part of a volume, (z, y, x), at a range of sections of the labels and, if given, a range of their rows."""

_SAMPLED = 8  # sections in which the range of grey values is looked for


@contextmanager
def greys_under(
    path: str, shape: tuple[int, int, int], place: Place, labels_path: str, context: Context
) -> Iterator[Part]:
    """Opens the image that labels lie on, and says how its values are shown if they are not 8-bit greys.

    Args:
      path: the image.
      shape, place: size and place of the labels, which are in the file `labels_path`.

    Yields:
      A function that returns a part of the image, uint8.

    Raises:
      InputError: if the labels do not lie inside the image, or it holds no numbers.
    """
    with open_volume(path) as image:
        image_place = image.place
        image.announce(context)
        words = "image", "the image that the labels were made from"
        at = _inside(labels_path, shape, place, path, image.shape, image_place, words, context)

        def part(z: slice, y: slice = slice(None)) -> np.ndarray:
            return image[_moved(at, shape, z, y)]

        if image.dtype == np.uint8:
            yield part
        else:
            low, high = _range(path, image.dtype, shape[0], part, context)
            yield lambda z, y=slice(None): to_display(part(z, y), low, high)


@contextmanager
def truth_beside(
    path: str, shape: tuple[int, int, int], place: Place, labels_path: str, context: Context
) -> Iterator[Part]:
    """Opens the truth that is shown beside labels.

    Args:
      path: the truth.
      shape, place: size and place of the labels, which are in the file `labels_path`.

    Yields:
      A function that returns a part of the truth, integers, 0 = none.

    Raises:
      InputError: if the labels do not lie inside the truth, or it does not hold integers.
    """
    with open_labels(path, context) as (truth, truth_place):
        words = "truth", "labels of the same sections"
        at = _inside(labels_path, shape, place, path, truth.shape, truth_place, words, context)
        yield lambda z, y=slice(None): truth.read(*_moved(at, shape, z, y))


def _inside(
    labels_path: str,
    shape: tuple[int, int, int],
    place: Place,
    path: str,
    outer: tuple[int, int, int],
    outer_place: Place,
    words: tuple[str, str],
    context: Context,
) -> tuple[int, int, int]:
    """Returns where labels begin in another volume, z, y, x; says so if only the voxel sizes differ.

    Args:
      words: what the other volume is, and what to connect if it does not fit.

    Raises:
      InputError: if the labels do not lie inside it, or have another resolution, so that they lie on a wrong part.
    """
    what, wanted = words
    z, y, x = (a - b for a, b in zip(place.offset, outer_place.offset, strict=True))
    if any(a < 0 or a + n > m for a, n, m in zip((z, y, x), shape, outer, strict=True)):
        raise InputError(
            f"{labels_path}: its box, {box(shape, place.offset)}, is not inside the box of the {what}, "
            f"{box(outer, outer_place.offset)}; connect {wanted}"
        )
    ours, theirs = place.known_voxel_size, outer_place.known_voxel_size
    if ours and theirs and ours != theirs:
        differ = f"{labels_path}: voxel_size_xyz is {list(ours)}, but {list(theirs)} in {path}"
        if shape != outer:
            raise InputError(f"{differ}; connect {wanted}, in their resolution")
        context.message(
            f"{differ}; they have the same number of voxels, so they are laid over each other voxel by voxel"
        )
    return z, y, x


def _moved(at: tuple[int, int, int], shape: tuple[int, int, int], z: slice, y: slice) -> tuple[slice, slice, slice]:
    """Returns the box of a volume for ranges of sections and rows of labels that begin `at` a place in it."""
    first, last, _ = y.indices(shape[1])
    return slice(z.start + at[0], z.stop + at[0]), slice(first + at[1], last + at[1]), slice(at[2], at[2] + shape[2])


def _range(
    path: str, dtype: np.dtype, sections: int, part: Callable[[slice], np.ndarray], context: Context
) -> tuple[float, float]:
    if dtype.kind == "b":
        return 0.0, 1.0
    chosen = np.unique(np.linspace(0, sections - 1, _SAMPLED).round().astype(int)).tolist()
    sample = [part(slice(z, z + 1)) for z in chosen]
    found = display_range(sample)
    if found is None:
        raise InputError(f"{path}: all values are NaN or infinite; check the image")
    missing = sum(int(np.count_nonzero(~np.isfinite(each))) for each in sample) / sum(each.size for each in sample)
    said = (
        f"{path}: the image is {dtype}; its values from {found[0]:g} to {found[1]:g} are shown from black to white "
        f"(0.1th and 99.9th percentile of {len(chosen)} section{'s' if len(chosen) > 1 else ''})"
    )
    if missing:
        said += f"; {100 * missing:.1f} % of them are NaN or infinite, and shown black or white"
    context.message(said)
    return found
