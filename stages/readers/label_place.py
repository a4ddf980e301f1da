"""Checks that labels belong to their images: size, section numbers, order, and which way they lie on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import h5py
import numpy as np

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.alignment import shift_of_sections
from floodrunner.segmentation.turns import find_turn, middle
from floodrunner.stages.readers.name_numbers import section_numbers
from floodrunner.stages.readers.stack import Stack
from floodrunner.stages.storage.places import Place
from floodrunner.stages.storage.volumes import Volume
from floodrunner.stages.storage.words import section_size

_SAMPLED = 8  # smallest number of consecutive sections in each sample for the check of the order
_OUTER = 3  # number of sections at each end that show which way the labels lie
_GO_ON = "or set check_order: false if the labels are right"


def check_size(stack: Stack, shape: tuple[int, ...], place: Place, context: Context) -> None:
    """Checks that labels have the size of the images, and tells if their file gives them another place.

    Args:
      stack: the labels.
      shape: size of the images, z, y, x; `place`, their place.

    Raises:
      InputError: if the sizes differ; the message tells what may be the cause.
    """
    within = tuple(ours - theirs for ours, theirs in zip(stack.offset_xyz, place.offset_xyz, strict=True))
    if stack.shape == shape:
        _tell_place(stack, place, context)
        return
    of_labels, of_images = stack.shape[1:], shape[1:]
    what = "sections" if of_labels == of_images else "size"
    remedy = f"give labels and images of the same {what}"
    factors = {Fraction(image, label) for image, label in zip(of_images, of_labels, strict=True)}
    factor = factors.pop()
    part = ", ".join(f"{a}:{a + k}" for a, k in zip(within[::-1], stack.shape, strict=True))
    if any(stack.offset_xyz) and all(0 <= a <= n - k for a, n, k in zip(within[::-1], shape, stack.shape, strict=True)):
        remedy = (
            f"by its offset, the labels are the part of the images that begins at voxel {', '.join(map(str, within))} "
            f"(x, y, z): crop the images to it (in Python: images[{part}]), or fill up the labels with 0"
        )
    elif sorted(stack.shape) == sorted(shape):
        how = "x and y are swapped" if stack.shape[0] == shape[0] else "the axes are swapped (files hold z, y, x)"
        remedy = f"{how}: transpose the labels, or turn them by 90 degrees, so that they lie on the images"
    elif not factors and factor.denominator == 1 and factor > 1:
        remedy = (
            f"the labels are {factor} times smaller in x and y: export them at full resolution (mip 0), or scale them "
            "up without interpolation"
        )
    elif not factors and factor.numerator == 1 and factor < 1:
        remedy = f"the labels are {factor.denominator} times larger in x and y: give images of their resolution"
    raise InputError(
        f"{stack.path}: {section_size(stack.shape)} of labels, but {section_size(shape)} of images; {remedy}"
    )


def _tell_place(stack: Stack, place: Place, context: Context) -> None:
    size, of_images = stack.voxel_size_xyz, place.voxel_size_xyz
    if size is not None and not np.allclose(size, of_images, rtol=0.01):
        context.message(
            f"{stack.path}: the file says that voxels are {' x '.join(f'{n:g}' for n in size)} nm, those of the images "
            f"are {' x '.join(f'{n:g}' for n in of_images)} nm, which is used; check that labels and images have the "
            "same resolution"
        )
    if any(stack.offset_xyz) and stack.offset_xyz != place.offset_xyz:
        context.message(
            f"{stack.path}: the file says that the labels begin at voxel {', '.join(map(str, stack.offset_xyz))} "
            f"(x, y, z), but the images begin at {', '.join(map(str, place.offset_xyz))}, which is used; check that "
            "they belong together"
        )


def check_numbers(stack: Stack, names: Sequence[str] | None) -> None:
    """Raises InputError if labels and images are different sections, according to the numbers in the file names.

    For example, section 2 of the labels must not be paired with section 1 of the images. If no number occurs in both
    (0 to 69 and 1000 to 1069), the labels are accepted: they are only counted from another number.

    Args:
      stack: the labels.
      names: file names of the sections of the images; None if they are not known.
    """
    ours, theirs = section_numbers(stack.files or ()), section_numbers(names or ())
    if names is None or stack.files is None or ours is None or theirs is None:
        return
    if ours == theirs or not set(ours) & set(theirs):
        return
    first = next(k for k, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
    raise InputError(
        f"{stack.path}: labels and images do not match: section {first} is {stack.files[first]} in the labels and "
        f"{names[first]} in the images; give the same sections for both, or set check_order: false if only the names "
        "differ"
    )


def outer_sections(depth: int) -> list[int]:
    """Chooses sections of a stack that are far from those with the same numbers counted from its other end."""
    ends = sorted({k * max(1, depth // 8) for k in range(_OUTER)})
    first = [k for k in ends if 4 * k < depth] or [0]
    return sorted({*first, *(depth - 1 - k for k in first)})


def sampled_sections(depth: int) -> list[int]:
    """Chooses the sections of a stack that show what labels hold and which way they lie."""
    return sorted({*outer_sections(depth), *(depth * eighths // 8 for eighths in (3, 4, 5))})


def check_lie(
    stack: Stack, labels: h5py.Dataset, sections: dict[int, np.ndarray], image: Volume, context: Context
) -> None:
    """Checks whether outlines and areas of the labels lie on what the images show.

    Args:
      stack: where the labels come from.
      labels: the volume of labels, (z, y, x), and `image`, that of the images.
      sections: the middle (see `turns.middle`) of the labels of some sections, by their numbers. The outer ones are
        used, if they have labels.

    Raises:
      InputError: if the labels fit the section before or after theirs better than their own; or are transposed,
        mirrored, turned, or in the reverse order. If they fit in no way, a message tells it.
    """
    _check_shift(stack, labels, image)
    window = middle(labels.shape[1:])
    depth, square = len(labels), labels.shape[1] == labels.shape[2]

    def images(numbers: Iterable[int]) -> list[np.ndarray]:
        return [image[k, *window] for k in numbers]

    outer = [k for k in outer_sections(depth) if sections[k].any()]
    numbers = outer or [k for k, section in sections.items() if section.any()]
    reverse = (lambda: images(depth - 1 - k for k in numbers)) if depth > 1 else None
    own = images(numbers)
    turn = find_turn(own, [sections[k] for k in numbers], square, reverse) if own else None
    if turn is None:
        return
    how = turn.how
    if not turn.clear:
        for swapped, planes in _of_swapped_axes(labels, numbers):
            other = find_turn(own, planes, square, reverse)
            if other is not None and other.clear:
                turn, how = other, f"{swapped} are swapped{' and it is ' if other.how else ''}{other.how}"
                break
    if how:
        raise InputError(
            f"{stack.path}: the labels fit when {how}: the contrast at their outlines, or in their areas, is then "
            f"{turn.there:.2f}, and {turn.here:.2f} as they are; change them so (or the images, if these are wrong), "
            f"{_GO_ON}"
        )
    if turn.by is not None:
        y, x = turn.by
        move = f"{abs(x)} pixels to the {'right' if x > 0 else 'left'} and {abs(y)} {'down' if y > 0 else 'up'}"
        context.message(
            f"{stack.path}: the labels seem to be moved against the images: the contrast at their outlines, or in "
            f"their areas, is {turn.there:.2f} if they are moved by {move}, and {turn.here:.2f} as they are; "
            "compare labels and images in a viewer"
        )
    if turn.nowhere:
        context.message(
            f"{stack.path}: the labels do not seem to lie on what the images show: the contrast at their outlines, or "
            f"in their areas, is {turn.here:.2f} standard deviations (0.2 to 1.5 where labels fit), and no better if "
            "they are mirrored or turned; compare labels and images in a viewer"
        )


def _of_swapped_axes(labels: h5py.Dataset, numbers: Iterable[int]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yields sections as they would be if x and z, or y and z, were swapped, where the shape stays the same then."""
    z, y, x = labels.shape
    window = middle((y, x))
    if z == x > 1:
        yield "x and z", [labels[window[1], window[0], k].T for k in numbers]
    if z == y > 1:
        yield "y and z", [labels[window[0], k, window[1]] for k in numbers]


def _check_shift(stack: Stack, labels: h5py.Dataset, image: Volume) -> None:
    """Raises InputError if, in a sample of sections, outlines fit the section before or after better than their own."""
    depth = max(labels.chunks[0], _SAMPLED)  # HDF5 decompresses whole chunks, so all their sections are used
    starts = range(0, max(1, len(labels) - 2), depth)
    starts = starts[:: max(1, len(starts) // 2)]
    boxes = ((slice(start, start + depth), *middle(labels.shape[1:])) for start in starts)
    found = shift_of_sections((image[box], labels[box]) for box in boxes)
    if found is None or found[0] == 0:
        return
    shift, there, here = found
    raise InputError(
        f"{stack.path}: the labels are shifted by one section: their outlines fit the image section "
        f"{'after' if shift > 0 else 'before'} theirs better than their own (contrast {there:.2f} there, {here:.2f} in "
        f"their own section); give the same sections for both, {_GO_ON}"
    )
