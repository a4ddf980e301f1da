"""What the user can mend, said in one line: where, what was found, what to do."""

from __future__ import annotations

import difflib
import errno
import os
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


_DISK_TROUBLE = {
    errno.ENOSPC: "free some space and run again: finished steps are kept",
    errno.EDQUOT: "free some space and run again: finished steps are kept",
    errno.EFBIG: "free some space and run again: finished steps are kept",
    errno.EACCES: "give this user the right to use it, or choose another folder with --workdir",
    errno.EPERM: "give this user the right to use it, or choose another folder with --workdir",
    errno.EROFS: "choose another folder with --workdir",
    errno.EEXIST: "a file is in the way; move it, or choose another folder with --workdir",
    errno.ENOTDIR: "a file is in the way; move it, or choose another folder with --workdir",
    errno.EISDIR: "a folder is in the way; move it, or choose another folder with --workdir",
    errno.ENAMETOOLONG: "choose shorter names, or another folder with --workdir",
    errno.EIO: "the disk does not answer properly; check it, then run again: finished steps are kept",
}


def disk_trouble(error: OSError, path: object = None) -> str | None:
    """One line for trouble with a disk that the user can mend; None where it looks like a bug of ours.

    Args:
      path: what was being used, for the errors that do not name their file (a full disk does not).
    """
    if error.errno not in _DISK_TROUBLE:
        return None
    where = error.filename or path or "the run folder"
    return f"{where}: {os.strerror(error.errno).lower()}; {_DISK_TROUBLE[error.errno]}"


def suggest(word: str, known: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest of `known`, or all of them if none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not known:
        return "there is none here"
    return f"choose {known[0]!r}" if len(known) == 1 else f"choose one of {', '.join(known)}"
