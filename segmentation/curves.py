"""Draws curves over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_WIDTH, _HEIGHT = 960, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 30, 50
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))
"""Colours that people with any colour vision tell apart. Source: Okabe and Ito, Color Universal Design (2008)."""
_GREY, _BLACK = (220, 220, 220), (0, 0, 0)
_LINES = 6


def draw(steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Draws curves in common axes that start at 0.

    Args:
      steps: step numbers, ascending, above 0.
      curves: name -> a value, 0 or more, for each step; values that are not finite are not drawn.

    Returns:
      (540, 960, 3) uint8.

    Raises:
      ValueError: if there are no steps, or a curve does not have a value for each step.
    """
    if not steps or any(len(values) != len(steps) for values in curves.values()):
        counts = {name: len(values) for name, values in curves.items()}
        raise ValueError(f"{len(steps)} steps, values: {counts}; there must be at least one step, and a value for each")
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), (255, 255, 255))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    finite = [value for values in curves.values() for value in values if np.isfinite(value)]
    tick = _tick(max([*finite, 1e-6]))
    top = tick * np.ceil(max([*finite, 1e-6]) / tick)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def place(step: float, value: float) -> tuple[float, float]:
        return _LEFT + (right - _LEFT) * step / steps[-1], bottom - (bottom - _TOP) * value / top

    for value in np.arange(0, top + tick / 2, tick):
        y = place(0, value)[1]
        pen.line([(_LEFT, y), (right, y)], _GREY)
        pen.text((_LEFT - 8, y), f"{value:.4g}", _BLACK, font, anchor="rm")
    for step in range(0, steps[-1] + 1, max(1, round(_tick(steps[-1])))):
        x = place(step, 0)[0]
        pen.line([(x, _TOP), (x, bottom)], _GREY)
        pen.text((x, bottom + 8), f"{step:g}", _BLACK, font, anchor="mt")
    pen.text(((_LEFT + right) / 2, _HEIGHT - 6), "steps", _BLACK, font, anchor="mb")
    x = float(_LEFT)
    for (name, values), colour in zip(curves.items(), _COLOURS, strict=False):
        points = [place(*pair) for pair in zip(steps, values, strict=True) if np.isfinite(pair[1])]
        pen.line(points, colour, width=2)
        for px, py in points:
            pen.ellipse([px - 2, py - 2, px + 2, py + 2], colour)
        pen.rectangle([x, 9, x + 14, 19], colour)
        pen.text((x + 20, 14), name.replace("_", " "), _BLACK, font, anchor="lm")
        x += 40 + pen.textlength(name, font)
    return np.asarray(picture)


def _tick(highest: float) -> float:
    """Returns a distance between grid lines, 1, 2 or 5 times a power of ten, with which there are at most six lines."""
    power = 10.0 ** np.floor(np.log10(highest / _LINES))
    return float(next(power * factor for factor in (1, 2, 5, 10) if power * factor * _LINES >= highest))
