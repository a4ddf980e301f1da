"""Turns errors of a disk or file system, and a lack of processes, into messages that say what to do."""

from __future__ import annotations

import errno
import os

_NO_SPACE = "free some space and run again: finished steps are kept"
_NO_PERMISSION = "give this user permission to use this path, or choose another run folder with --workdir"
_FILE_IN_THE_WAY = "a file is in the way; move the file, or choose another run folder with --workdir"
OUT_OF_PROCESSES = "no more processes or threads can be started; raise processes of the step (or ulimit -u)"
"""What is wrong if a stage cannot start a process or thread, and what to do."""
_ADVICE = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: _NO_SPACE,
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EROFS: "choose another run folder with --workdir",
    errno.EEXIST: _FILE_IN_THE_WAY,
    errno.ENOTDIR: _FILE_IN_THE_WAY,
    errno.EISDIR: "a folder is in the way; move the folder, or choose another run folder with --workdir",
    errno.ENOENT: "the folder that held this file was removed or renamed during the run; run again",
    errno.ENAMETOOLONG: "choose shorter names, or another run folder with --workdir",
    errno.EIO: "the disk reports read or write errors; check the disk, then run again: finished steps are kept",
}


def disk_trouble(error: OSError, path: object) -> str | None:
    """Describes in one line a disk error that the user can correct; None if the error is more likely a bug.

    Args:
      path: the file or folder that was in use. The message names it if the error names no file, as on a full disk.
    """
    in_text = (code for code in _ADVICE if f"errno = {code}," in str(error))  # HDF5 gives the code only in its message
    code = error.errno if error.errno in _ADVICE else next(in_text, None)
    where = error.filename or path
    if code is None or (code == errno.ENOENT and _has_its_folder(str(where))):
        return None
    return f"{where}: {os.strerror(code).lower()}; {_ADVICE[code]}"


def _has_its_folder(file: str) -> bool:
    try:
        return os.path.isdir(os.path.dirname(os.path.abspath(file)))
    except FileNotFoundError:  # the current folder was removed
        return False
