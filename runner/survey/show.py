"""What `plan` shows of a survey: what the inputs are, and what the run needs."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

from floodrunner.runner import words
from floodrunner.runner.survey import learning, needs, wording
from floodrunner.runner.survey.before import Before
from floodrunner.runner.survey.learning import Say


def remarks(before: Before) -> list[str]:
    """What the steps will say about the inputs, and the sizes that they will choose."""
    lines = [line for each in before.report.remarks for line in _wrapped(f"{each.step}: {words.shown(each.text)}")]
    return ["The inputs:", *lines] if lines else []


def what_it_needs(before: Before, say: Say) -> Iterator[str]:
    """Time, memory and disk of each step and of all; what is not known is measured first, and `say` says so."""
    if not before.report.costs:
        return
    found = needs.estimates(before, learning.measure(before, say))
    yield from wording.table(found, needs.free(before.plan))
    for line in needs.warnings(before, found):
        yield f"Warning: {line}"


def _wrapped(text: str) -> list[str]:
    width = max(shutil.get_terminal_size().columns, 40)
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
