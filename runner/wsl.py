r"""Windows paths, as users of WSL write them: `C:\data\images`, `\\wsl.localhost\Debian\home\u`."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from floodrunner.runner import machine
from floodrunner.runner.errors import UserError

_DRIVE = re.compile(r"([A-Za-z]):([\\/].*)", re.DOTALL)
_SHARE = re.compile(r"\\\\([^\\]+)\\([^\\]+)(.*)|//(wsl\$|wsl\.localhost)/([^/]+)(.*)", re.DOTALL | re.IGNORECASE)
_WITHOUT_BACKSLASHES = re.compile(r"[A-Za-z]:(?![\\/])|\\(?!\\)")
_WSLPATH_TIMEOUT_S = 10


def is_windows(path: str) -> bool:
    r"""Whether a path starts with a drive or a server, like `C:\`, `C:/` or `\\server\`."""
    return bool(_DRIVE.match(path) or _SHARE.match(path))


def here(path: str) -> str:
    r"""Translates a path to this system.

    Under WSL `wslpath` translates a Windows path, because it knows where drives are mounted. Without that program,
    the usual places are assumed. A path that exists as written, and every path outside of WSL, is returned as it is.

    Raises:
      UserError: if the path cannot be reached from here, or the shell has removed its backslashes.
    """
    if not machine.is_wsl() or os.path.lexists(path):
        return path
    if is_windows(path):
        return _by_wslpath(path) or _by_convention(path)
    if _WITHOUT_BACKSLASHES.match(path):
        raise UserError(
            f"{path} looks like a Windows path whose backslashes the shell has removed; write it in single quotes "
            r"('C:\data\images'), or with slashes (C:/data/images)"
        )
    return path.replace("\\", "/")


def folder(path: str) -> Path:
    r"""A folder that the user named and that need not exist; `~` is the home folder.

    Raises:
      UserError: like `here`; and outside of WSL for a Windows path, which would make a folder called `C:\runs`.
    """
    found = here(path)
    if found == path and is_windows(path) and not os.path.lexists(path):
        raise UserError(f"{path} is a Windows path, and this is not WSL; name a folder of this system")
    return Path(os.path.expanduser(found))


def _by_wslpath(path: str) -> str:
    """The answer of `wslpath`; "" if it gives none, as old versions give none for `wsl.localhost`."""
    try:
        answer = subprocess.run(["wslpath", "-u", path], capture_output=True, timeout=_WSLPATH_TIMEOUT_S, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return os.fsdecode(answer.stdout).removesuffix("\n")


def _by_convention(path: str) -> str:
    if drive := _DRIVE.match(path):
        return f"/mnt/{drive[1].lower()}{drive[2]}".replace("\\", "/")
    share = _SHARE.match(path)
    assert share is not None
    server, name, rest = (share[1], share[2], share[3]) if share[1] else (share[4], share[5], share[6])
    if server.lower() not in ("wsl$", "wsl.localhost"):
        raise UserError(
            rf"{path} is a Windows network folder; mount it (sudo mkdir -p /mnt/{name} && "
            rf"sudo mount -t drvfs '\\{server}\{name}' /mnt/{name}) and use that path"
        )
    ours = os.environ.get("WSL_DISTRO_NAME") or name
    if name.lower() != ours.lower():
        raise UserError(
            f"{path} is in the WSL distribution {name}, but this is {ours}; run Floodrunner there, or copy the "
            "files to this distribution or to a Windows drive"
        )
    return rest.replace("\\", "/") or "/"
