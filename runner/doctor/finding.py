"""One thing that `doctor` found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that `doctor` found.

    Attributes:
      level: `ok`, `note` (works, but could be better) or `trouble`.
      advice: what to do; "" if ok.
    """

    level: str
    text: str
    advice: str = ""
