"""Draws a sheet of pictures to look at: rows of panels with titles, each to scale, with a scale bar below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont  # to draw and resize; files are written by `files`

from floodrunner.segmentation.colours import overlay

LEAST, MOST = 512, 1024  # pixels: smallest and largest length of the longer side of a panel
_GAP, _LETTERS, _BAND = 8, 16, 26  # pixels: between panels; height of letters, and of a line of them
_LINES = 4  # most lines of a title; what is left is cut off
_BAR_SHARE = 0.25  # largest length of a scale bar, as a share of the width of its panel
_INK, _PAPER = (0, 0, 0), (255, 255, 255)


class Panel(NamedTuple):
    """One picture of a sheet.

    Attributes:
      title: stands above it, in several lines if the panel is narrow.
      pixels: (y, x, 3) uint8, at the size at which it is drawn.
      nm: length of one of these pixels; None if it is not known, and there is no scale bar.
    """

    title: str
    pixels: np.ndarray
    nm: float | None = None


class Plane(NamedTuple):
    """A picture in its own resolution, and the labels that lie over it.

    Attributes:
      title: as for `Panel`.
      image: (y, x) uint8; None shows the labels alone.
      labels: (y, x) integers, 0 = none; None shows the image alone.
    """

    title: str
    image: np.ndarray | None
    labels: np.ndarray | None = None


def panels(
    planes: Sequence[Plane], size: tuple[float, float] | None, opacity: float, least: int = LEAST, most: int = MOST
) -> list[Panel]:
    """Draws planes of one shape to scale: small ones are enlarged, by a whole number, and large ones are reduced.

    The outlines of labels are drawn after that, so they are thin at any size.

    Args:
      size: length of a pixel along y and x, nm; None if it is not known: then pixels are drawn as squares.
      opacity: opacity of the colours over an image, 0 to 1.
      least, most: smallest and largest length of the longer side, pixels.
    """
    (shown,) = {(plane.labels if plane.image is None else plane.image).shape for plane in planes}  # type: ignore[union-attr]
    down, across = size or (1.0, 1.0)
    natural = shown[0] * down / across, float(shown[1])
    longest = max(natural)
    factor = most / longest if longest > most else math.ceil(least / longest) if longest < least else 1.0
    height, width = (max(1, round(length * factor)) for length in natural)
    rows, columns = (_nearest(have, want) for have, want in zip(shown, (height, width), strict=True))
    drawn = []
    for title, image, labels in planes:
        here = None if labels is None else labels[rows][:, columns]
        if image is None:
            pixels = overlay(np.zeros((height, width), np.uint8), here, 1.0)  # type: ignore[arg-type]
        else:
            grey = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
            pixels = np.repeat(grey[..., None], 3, 2) if here is None else overlay(grey, here, opacity)
        drawn.append(Panel(title, pixels, across / factor if size else None))
    return drawn


def _nearest(have: int, want: int) -> np.ndarray:
    return ((np.arange(want) + 0.5) * have / want).astype(np.int64)


def sheet(rows: Sequence[Sequence[Panel]]) -> np.ndarray:
    """Puts rows of panels on white paper: above each panel its title, below it a scale bar, if its scale is known.

    Panels that stand side by side and have the same scale share one bar.

    Returns:
      (y, x, 3) uint8.
    """
    places, top, right = [], _GAP, 0
    for row in rows:
        left = _GAP
        titles = [_wrapped(panel.title, panel.pixels.shape[1]) for panel in row]
        band = _BAND * max(map(len, titles))
        for panel, title in zip(row, titles, strict=True):
            places.append((left, top + band, title))
            left += panel.pixels.shape[1] + _GAP
        right = max(right, left)
        top += band + max(panel.pixels.shape[0] for panel in row) + _GAP
        top += _BAND if any(panel.nm for panel in row) else 0
    paper = Image.new("RGB", (right, top), _PAPER)
    pen = ImageDraw.Draw(paper)
    places_left = iter(places)
    for row in rows:
        scale = None
        for panel in row:
            left, top, title = next(places_left)
            height, width, _ = panel.pixels.shape
            for number, line in enumerate(reversed(title), 1):
                _write(pen, (left, top - number * _BAND), line, width)
            paper.paste(Image.fromarray(panel.pixels), (left, top))
            if panel.nm and panel.nm != scale:
                _bar(pen, (left, top + height), width, panel.nm)
            scale = panel.nm
    return np.asarray(paper)


def _wrapped(text: str, width: int) -> list[str]:
    """Divides a title at its spaces into lines of `width` pixels at most, if words are not longer."""
    font, lines = ImageFont.load_default(_LETTERS), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(_plain(longer)) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:_LINES]


def _plain(text: str) -> str:
    """Replaces letters that the font lacks; it has none for µ either, which is drawn as an u with a stroke."""
    return "".join("u" if letter == "µ" else letter if letter.isascii() else "?" for letter in text)


def _bar(pen: ImageDraw.ImageDraw, corner: tuple[int, int], width: int, nm: float) -> None:
    length, words = bar(width * nm)
    pixels = max(1, round(length / nm))
    left, top = corner
    middle = top + _BAND // 2
    pen.rectangle((left, middle - 2, left + pixels - 1, middle + 1), fill=_INK)
    _write(pen, (left + pixels + _GAP, top), words, width + len(words) * _LETTERS)


def bar(width: float) -> tuple[float, str]:
    """Chooses the length of a scale bar: the longest of 1, 2, 5, 10, 20 ... that fits into a quarter of the width.

    Args:
      width: of the picture, nm.

    Returns:
      The length in nm, and in words: `500 nm`, `2 µm`.
    """
    power = 10.0 ** math.floor(math.log10(width * _BAR_SHARE))
    length = max(step * power for step in (1, 2, 5) if step * power <= width * _BAR_SHARE * (1 + 1e-9))
    unit, nm = next((each for each in (("mm", 1e6), ("µm", 1e3)) if length >= each[1] * (1 - 1e-9)), ("nm", 1.0))
    return length, f"{length / nm:g} {unit}"


def _write(pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, width: int) -> None:
    """Writes a line, cut off after `width` pixels. The letters are Pillow's own, which are those of ASCII only."""
    font = ImageFont.load_default(_LETTERS)
    while len(text) > 1 and font.getlength(_plain(text)) > width:
        text = text[:-1]
    left, top = corner[0], corner[1] + (_BAND - _LETTERS) // 2 - 2
    pen.text((left, top), _plain(text), fill=_INK, font=font)
    for at, letter in enumerate(text):
        if letter == "µ":  # an u with a longer left stroke
            stroke = left + font.getlength(_plain(text[:at])) + 1
            _, _, _, bottom = pen.textbbox((left, top), "u", font=font)
            pen.rectangle((stroke, bottom - 4, stroke + 1, bottom + 2), fill=_INK)
