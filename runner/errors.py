"""What the user can mend, said in one line: where, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Refused, with exit code 2. Its text is one line, without the leading `floodrunner: `."""


class StepFailed(Exception):
    """A step ended otherwise than done: exit code, and one line for the user."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(" ".join(text.split()))
        self.code = code


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP arrived. Exit code 130."""


def suggest(word: str, known: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest of `known`, or all of them if none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not known:
        return "there is none here"
    return f"choose {known[0]!r}" if len(known) == 1 else f"choose one of {', '.join(known)}"
