"""Trouble with a disk, in words that say what to do."""

from __future__ import annotations

import errno
import os

_NO_SPACE = "free some space and run again: finished steps are kept"
_NO_RIGHT = "give this user the right to use it; another run folder is chosen with --workdir"
_DISK_TROUBLE = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: _NO_SPACE,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: "choose another folder with --workdir",
    errno.EEXIST: "a file is in the way; move it, or choose another folder with --workdir",
    errno.ENOTDIR: "a file is in the way; move it, or choose another folder with --workdir",
    errno.EISDIR: "a folder is in the way; move it, or choose another folder with --workdir",
    errno.ENOENT: "its folder was removed or renamed meanwhile; run again",
    errno.ENAMETOOLONG: "choose shorter names, or another folder with --workdir",
    errno.EIO: "the disk does not answer properly; check it, then run again: finished steps are kept",
}


def disk_trouble(error: OSError, path: object) -> str | None:
    """One line for trouble with a disk that the user can mend; None where it looks like a bug of ours.

    Args:
      path: what was being used, for the errors that do not name their file (a full disk does not).
    """
    in_text = (code for code in _DISK_TROUBLE if f"errno = {code}," in str(error))  # as HDF5 writes it
    code = error.errno if error.errno in _DISK_TROUBLE else next(in_text, None)
    where = error.filename or path
    if code is None or (code == errno.ENOENT and os.path.isdir(os.path.dirname(os.path.abspath(str(where))))):
        return None
    return f"{where}: {os.strerror(code).lower()}; {_DISK_TROUBLE[code]}"
