"""Errors for the user, each in one line: where, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """The request cannot be carried out as it is. The message is one line, without `floodrunner: `. Exit code 2."""


class StepFailed(Exception):
    """A step did not finish. Holds the exit code, and one line for the user."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(" ".join(text.split()))
        self.code = code


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP arrived. Exit code 130."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Advice for an unknown word: the most similar word of `known`, or all of `known` if no word is similar."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not known:
        return "there are none"
    return f"choose {known[0]!r}" if len(known) == 1 else f"choose one of {', '.join(known)}"
