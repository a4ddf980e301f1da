"""Turns pixels as viewers show them, by the orientation that cameras and scanners store beside the pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from floodrunner.stages.readers.pillow import Image

TAG = 274
"""Number of the tag in TIFF and in Exif."""

_TURNS: dict[int, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    2: ("mirrored left to right", lambda pixels: pixels[:, ::-1]),
    3: ("turned by 180 degrees", lambda pixels: pixels[::-1, ::-1]),
    4: ("mirrored top to bottom", lambda pixels: pixels[::-1]),
    5: ("transposed", lambda pixels: pixels.swapaxes(0, 1)),
    6: ("turned by 90 degrees to the right", lambda pixels: pixels.swapaxes(0, 1)[:, ::-1]),
    7: ("transposed along the other diagonal", lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1)),
    8: ("turned by 90 degrees to the left", lambda pixels: pixels.swapaxes(0, 1)[::-1]),
}
"""For each orientation but 1, what is done with the stored pixels, and the function that does it."""


def valid(value: object) -> int:
    """Returns an orientation as it is stored, 1 ... 8; 1 (as stored) if it is no such number."""
    return value if isinstance(value, int) and value in _TURNS else 1


def of_exif(data: bytes | None) -> int:
    """Returns the orientation in Exif data; 1 if they have none, or are damaged."""
    exif = Image.Exif()
    try:
        exif.load(data or b"")
        return valid(exif.get(TAG))
    except Exception:  # Pillow raises what it meets; the pixels do not depend on these data
        return 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns stored pixels as viewers show them.

    Args:
      pixels: (y, x) or (y, x, samples), as stored.
      orientation: 1 ... 8.

    Returns:
      (y, x) or (y, x, samples); orientations 5 ... 8 swap y and x.

    Source: TIFF Revision 6.0 (Adobe, 1992), page 36; Exif 2.3, 4.6.4 A.
    """
    return np.ascontiguousarray(_TURNS[orientation][1](pixels)) if orientation in _TURNS else pixels


def size_of(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Returns height and width of the turned pixels."""
    return (width, height) if orientation >= 5 else (height, width)


def remarks(orientation: int) -> tuple[str, ...]:
    """Returns what to tell the user about an orientation: one sentence, or none for 1."""
    if orientation not in _TURNS:
        return ()
    return (
        f"pixels are {_TURNS[orientation][0]}, as the orientation tag ({orientation}) says and viewers show them; "
        "Fiji shows them as stored",
    )
