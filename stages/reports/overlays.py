"""Images under labels: the grey values that an overlay shows, and a picture of the middle section."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image  # to resize; files are written by `files`

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.colours import overlay
from floodrunner.segmentation.contrast import display_range, to_display
from floodrunner.stages.storage.volumes import Place, open_volume
from floodrunner.stages.storage.words import box

_LEAST, _MOST = 512, 2048  # pixels: smallest and largest length of the longest side of a section in an overview
_GAP = 8
_SAMPLED = 8  # sections in which the range of grey values is looked for


@contextmanager
def greys_under(
    path: str, shape: tuple[int, int, int], place: Place, labels_path: str, context: Context
) -> Iterator[Callable[[slice], np.ndarray]]:
    """Opens the image that labels lie on, and says how its values are shown if they are not 8-bit greys.

    Args:
      path: the image.
      shape, place: size and place of the labels, which are in the file `labels_path`.

    Yields:
      A function that returns the part of the image at a range of sections of the labels, (z, y, x) uint8.

    Raises:
      InputError: if the labels do not lie inside the image, or it holds no numbers.
    """
    with open_volume(path) as image:
        image_place = image.place
        image.announce(context)
        start = [a - b for a, b in zip(place.offset, image_place.offset, strict=True)]
        stop = [a + n for a, n in zip(start, shape, strict=True)]
        if min(start) < 0 or any(a > n for a, n in zip(stop, image.shape, strict=True)):
            raise InputError(
                f"{labels_path}: its box, {box(shape, place.offset)}, is not inside the box of the image, "
                f"{box(image.shape, image_place.offset)}; connect the image that the labels were made from"
            )
        _compare_sizes(path, image_place, image.shape, labels_path, place, shape, context)
        z, y, x = start
        here = slice(y, stop[1]), slice(x, stop[2])

        def part(sections: slice) -> np.ndarray:
            return image[slice(sections.start + z, sections.stop + z), *here]

        if image.dtype == np.uint8:
            yield part
        else:
            low, high = _range(path, image.dtype, shape[0], part, context)
            yield lambda sections: to_display(part(sections), low, high)


def _compare_sizes(
    path: str,
    image_place: Place,
    image_shape: tuple[int, ...],
    labels_path: str,
    place: Place,
    shape: tuple[int, ...],
    context: Context,
) -> None:
    """Says that the voxel sizes differ, or refuses labels of another resolution, which would lie on a wrong part."""
    ours, theirs = place.voxel_size_xyz, image_place.voxel_size_xyz
    unknown = Place().voxel_size_xyz
    if ours == theirs or unknown in (ours, theirs):
        return
    differ = f"{labels_path}: voxel_size_xyz is {list(ours)}, but {list(theirs)} in {path}"
    if shape != image_shape:
        raise InputError(f"{differ}; connect the image that the labels were made from, in their resolution")
    context.message(f"{differ}; they have the same number of voxels, so they are laid over each other voxel by voxel")


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


def overview(image: np.ndarray, labels: np.ndarray, opacity: float) -> np.ndarray:
    """Returns image (y, x) uint8 and overlay side by side, (y, x, 3) uint8; small sections are enlarged, large ones
    reduced."""
    factor = max(1, _LEAST // max(image.shape))
    image, labels = (array.repeat(factor, 0).repeat(factor, 1) for array in (image, labels))
    gap = np.full((image.shape[0], _GAP, 3), 255, np.uint8)
    both = np.concatenate([np.repeat(image[..., None], 3, 2), gap, overlay(image, labels, opacity)], axis=1)
    picture = Image.fromarray(both)
    picture.thumbnail((2 * _MOST, _MOST))
    return np.asarray(picture)
