"""Whether a mean and a standard deviation are those of an image."""

from __future__ import annotations

from pathlib import Path

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.statistics import Moments

_UNLIKE = 4
"""If the standard deviation that is used is this many times that of the image, or its part, the user is told."""


def check_normalisation(
    path: str | Path,
    every: Moments,
    tissue: Moments,
    mean: float,
    stddev: float,
    context: Context,
    box: bool = False,
) -> None:
    """Compares the mean and standard deviation that are used with those of the image.

    Args:
      path: the image.
      every, tissue: of all voxels of the image, or of the box of it that is used, and without what is blank.
      box: whether this is only a part. It may be blank or unlike the rest, so nothing is refused.

    Raises:
      InputError: if they are those of other grey levels: the mean of an image lies between its darkest and its
        brightest voxel.
    """
    what = (
        f"{path}: the image is normalised with mean {mean:g} and standard deviation {stddev:g}, but "
        f"{'this box' if box else 'it'} has {tissue.mean:g} and {tissue.stddev:g} (values {every.minimum:g} to "
        f"{every.maximum:g})"
    )
    advice = "use the statistics of these images (the stage statistics), with as many bits as they have"
    if not every.minimum <= mean <= every.maximum:
        if not box:
            raise InputError(f"{what}; {advice}")
        context.message(f"{what}; if the box is not blank, {advice}")
    elif tissue.stddev and not 1 / _UNLIKE < stddev / tissue.stddev < _UNLIKE:
        context.message(f"{what}; if little is found or learned, {advice}")
