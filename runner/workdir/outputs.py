"""Checks what a stage wrote, before the runner reads it: only files and folders, with plain names."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from floodrunner.runner import words
from floodrunner.runner.workdir.files import kind_of

MOST_FILES = 1_000_000
DEEPEST = 50
"""How many files and folders a step may publish, and how deeply its folders may be nested."""


def unfit(partial: Path) -> str:
    """Why the content of `partial/` cannot be published; "" if it can.

    A link could lead to any file of the user's, whoever reads a pipe waits for ever, and a file with a hole of many
    terabytes takes days to read.
    """
    room = shutil.disk_usage(partial).total
    waiting, count = [(str(partial), 1)], 0
    while waiting:
        folder, depth = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                info = entry.stat(follow_symlinks=False)
                name = words.shown(os.path.relpath(entry.path, partial))
                if kind := kind_of(info.st_mode):
                    return f"the stage wrote {name}, a {kind}; only files and folders can be published"
                if words.shown(entry.name) != entry.name:
                    return f"the stage wrote {name}, a name with characters that are not text"
                if stat.S_ISREG(info.st_mode) and info.st_size > room:
                    return f"the stage wrote {name} of {words.size(info.st_size)}, more than the disk holds"
                if count > MOST_FILES:
                    return f"the stage wrote more than {MOST_FILES} files"
                if entry.is_dir(follow_symlinks=False):
                    if depth == DEEPEST:
                        return f"the stage wrote folders more than {DEEPEST} deep in {name.split(os.sep)[0]}"
                    waiting.append((entry.path, depth + 1))
    return ""
