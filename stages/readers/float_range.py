"""The greys of black and white in a stack of floating-point numbers."""

from __future__ import annotations

from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.float_greys import FloatGreys
from floodrunner.stages.readers.stack import Stack, counted
from floodrunner.stages.storage.words import some

_LEAST_CONTRAST = 4 / 255
"""Share of a range that the greys must fill: 4 of 255 greys are nearly black to the eye, and to a network."""

_LOST = 0.3
"""Share of greys outside the range from which on it seems to be a slip: of normalised greys around 0, half are."""


def float_range(stack: Stack, convert: str | tuple[float, float], context: Context) -> tuple[float, float]:
    """Returns the floating-point greys that become 0 and 255; reads the stack, and says what its greys are.

    Args:
      convert: `percentiles`, or the two greys.

    Raises:
      InputError: if the stack would become black, white, or nearly so.
    """
    total = stack.shape[0]
    greys = FloatGreys(counted(stack.sections(lambda pixels, name: pixels), 0, 2, total, context), total)
    if not len(greys):
        raise InputError(f"{stack.path}: all greys are 0, NaN or infinite; check the sections")
    if greys.minimum == greys.maximum:
        raise InputError(f"{stack.path}: all greys are {greys.minimum:g}; check the sections")
    if greys.bad:
        names = stack.files or [f"section {k}" for k in range(total)]
        context.message(
            f"{sum(greys.bad.values()):,} pixels in {len(greys.bad)} of {total} sections are NaN or infinite "
            f"({some(names[k] for k in greys.bad)}); they become 0 (black)"
        )
    first, last = greys.percentiles()
    between = f"all are between {greys.minimum:g} and {greys.maximum:g}"
    if isinstance(convert, str):
        if first == last:
            raise InputError(
                f"{stack.path}: nearly all greys are {first:g} ({between}), so that percentiles leave no contrast; "
                f"write convert_float: [{greys.minimum:g}, {greys.maximum:g}]"
            )
        context.message(f"float greys from {first:g} to {last:g} are mapped to 0 to 255; {between}")
        return first, last
    low, high = convert
    if min(last, high) - max(first, low) < _LEAST_CONTRAST * (high - low):
        raise InputError(
            f"{stack.path}: convert_float {[low, high]} would leave nearly no contrast: 99.8 % of the greys are "
            f"between {first:g} and {last:g} ({between}); write convert_float: percentiles, or the range of these greys"
        )
    below, above = greys.outside(low, high)
    context.message(
        f"float greys from {low:g} to {high:g} are mapped to 0 to 255; {100 * below:.2g} % of the greys are below and "
        f"{100 * above:.2g} % above; {between}"
    )
    if below + above >= _LOST:
        context.message(
            f"{stack.path}: {100 * (below + above):.0f} % of the greys lie outside convert_float {[low, high]}: "
            f"{100 * below:.0f} % become black and {100 * above:.0f} % white, with no contrast left among them; if "
            "this is not meant, write convert_float: percentiles"
        )
    return low, high
