"""Errors for the user, each in one line: where, what was found, what to do."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence


class UserError(Exception):
    """The request cannot be carried out as it is. The message is one line, without `floodrunner: `. Exit code 2."""


class UserErrors(UserError):
    """Several things are wrong; `lines` has one line for each."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class Collected:
    """Collects the errors of several checks, so that the user hears of all of them at once."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @contextlib.contextmanager
    def check(self) -> Iterator[None]:
        """Keeps a UserError that is raised inside this block, which it ends."""
        try:
            yield
        except UserErrors as error:
            self._lines += error.lines
        except UserError as error:
            self._lines.append(str(error))

    def close(self) -> None:
        """Raises UserError if there was one error, and UserErrors if there were several."""
        lines = list(dict.fromkeys(self._lines))
        if len(lines) > 1:
            raise UserErrors(lines)
        if lines:
            raise UserError(lines[0])


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
    lower = {each.lower(): each for each in reversed(known)}  # the case is a smaller slip than a letter
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lower[near[0]]!r}?"
    if not known:
        return "there are none"
    return f"choose {known[0]!r}" if len(known) == 1 else f"choose one of {', '.join(known)}"
