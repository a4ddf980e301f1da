"""Looks at greys that are floating-point numbers, so that they can be mapped to 8 bits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from floodrunner.segmentation.blank import black_border

_SAMPLE = 2**22
"""Greys that are kept to find percentiles: the 0.1th is then that of 4,000 of them."""


class FloatGreys:
    """What the greys of a stack are: their percentiles, and where they are NaN or infinite.

    Borders that are 0 or NaN from the edge inwards and blank sections do not count, because they would move the
    percentiles away from the tissue. Of a stack with more than 4 million greys, a random part is kept, the same each
    time.

    Args:
      sections: (y, x) floating-point numbers, of one size, at least one; each is used once.
      number: number of sections.

    Attributes:
      minimum, maximum: of all finite greys; NaN if there are none.
      bad: index of a section -> number of its pixels that are NaN or infinite, if there are any.
    """

    def __init__(self, sections: Iterable[np.ndarray], number: int) -> None:
        generator = np.random.default_rng(0)
        self.minimum, self.maximum, self.bad = np.nan, np.nan, dict[int, int]()
        kept, blank = [np.zeros(0)], [np.zeros(0)]
        for k, section in enumerate(sections):
            finite = np.isfinite(section)
            if number_bad := section.size - int(np.count_nonzero(finite)):
                self.bad[k] = number_bad
            border = border_of(section)
            greys = section[finite] if border is None else section[finite & ~border]
            if not len(greys):
                continue
            low, high = float(greys.min()), float(greys.max())
            self.minimum, self.maximum = float(np.fmin(self.minimum, low)), float(np.fmax(self.maximum, high))
            if low == high:
                blank.append(greys[:1])
                continue
            most = max(_SAMPLE // number, 1)
            kept.append(greys if len(greys) <= most else greys[generator.integers(len(greys), size=most)])
        self._sorted = np.sort(np.concatenate(kept if len(kept) > 1 else blank).astype(np.float64))

    def __len__(self) -> int:
        return len(self._sorted)

    def percentiles(self, low: float = 0.1, high: float = 99.9) -> tuple[float, float]:
        """Returns two percentiles, given in per cent; NaN if no grey is finite."""
        if not len(self):
            return np.nan, np.nan
        first, last = np.percentile(self._sorted, [low, high], method="inverted_cdf")
        return float(first), float(last)

    def outside(self, low: float, high: float) -> tuple[float, float]:
        """Returns the shares, 0 to 1, of the greys below `low` and above `high`."""
        below = np.searchsorted(self._sorted, low, "left")
        above = len(self) - np.searchsorted(self._sorted, high, "right")
        return float(below / max(len(self), 1)), float(above / max(len(self), 1))


def border_of(section: np.ndarray) -> np.ndarray | None:
    """Marks with True what is 0, NaN or infinite from the edge of a section, (y, x), inwards; None if nothing is."""
    return black_border(np.where(np.isfinite(section), section, 0))
