"""Says in words what a folder of pictures holds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from floodrunner.stages.readers.forms import Section
from floodrunner.stages.storage.words import size, some


def in_words(path: str, heads: Sequence[Section]) -> str:
    """Writes number, sizes and forms of pictures: `images: 120 pictures, 256 x 256 to 1388 x 1040 pixels, 8-bit grey`.

    Args:
      path: the folder as the user wrote it.
      heads: of its pictures; one at least.
    """
    sizes = sorted({(head.height, head.width) for head in heads}, key=math.prod)
    forms = dict.fromkeys(str(head.form) for head in heads)
    ends = " to ".join(dict.fromkeys((size(sizes[0]), size(sizes[-1]))))
    return f"{path}: {len(heads)} picture{'s' if len(heads) > 1 else ''}, {ends} pixels, {some(forms)}"
