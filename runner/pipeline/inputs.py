"""Finds the files and folders of a pipeline's inputs, and checks that they exist and are not empty."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from floodrunner.contract.ports import split_dataset
from floodrunner.runner import wsl
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline.spec import Pipeline

_ESCAPES = dict(
    zip("\0\a\b\t\n\v\f\r\x1b\x85\xa0\u2028\u2029", re.findall(r"\\.", r"\0\a\b\t\n\v\f\r\e\N\_\L\P"), strict=True)
)
"""Character -> its escape in YAML's double quotes, which is a backslash and a second character."""


def input_path(name: str, pipeline: Pipeline, given: str | None, workdir: Path) -> str:
    """The absolute path of an input, with the dataset if the user named one (`/data/image.h5:raw`).

    Args:
      given: the path from `--input`, which is used instead of the path in the pipeline file.

    Raises:
      UserError: if no path is given, or the path does not exist, is empty, or holds the run folder.
    """
    spec = pipeline.spec.inputs[name]
    written = given or spec.path
    help = f" ({spec.help})" if spec.help else ""
    line = pipeline.document.at(("inputs", name, "path"))
    where = f"--input {name}={given}" if given else f"{line}: input {name}"
    if written is None:
        raise UserError(f"{where}{help}: has no path; say where it is with --input {name}=PATH")
    file, dataset = split_dataset(os.path.expanduser(written))
    found = _file_here(file, f"{where}{help}", quoted=not given)
    path = Path(os.path.abspath(found))
    try:
        json.dumps(str(path), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: the path {os.fsencode(path)!r} is not UTF-8; rename the folder or file") from None
    if not path.exists():
        hint = f"say where it is with --input {name}=PATH"
        looked = "" if Path(file).is_absolute() else f" (seen from the current folder, {Path.cwd()})"
        if found != file:
            looked = f" (looked for {path})"
        elif drive := re.match(r"([A-Za-z]):[\\/]", file):
            hint = f"this is a Windows path; under WSL write /mnt/{drive[1].lower()}{file[2:]}".replace("\\", "/")
        raise UserError(f"{where}{help}: {file} does not exist{looked}; {hint}")
    if path.is_dir():
        if not any(path.iterdir()):
            kind = {".zarr": " Zarr", ".n5": "n N5"}.get(path.suffix.lower())
            what = f"is a{kind} store without data" if kind else "is empty"
            todo = "save the data again" if kind else "put the files there"
            raise UserError(f"{where}{help}: the folder {file} {what}; {todo}, or use --input {name}=PATH")
        if workdir.absolute().is_relative_to(path):
            raise UserError(
                f"{where}: the folder {file} holds the run folder {workdir}; choose another run folder with --workdir"
            )
    elif path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{where}{help}: the file {file} is empty; copy it again from its source")
    elif not path.is_file():
        raise UserError(f"{where}{help}: {file} is neither a file nor a folder; name a file or a folder")
    return str(path) if dataset is None else f"{path}:{dataset}"


def _file_here(file: str, where: str, quoted: bool) -> str:
    """The path in the form of this system: under WSL, a Windows path is translated.

    Args:
      quoted: whether the path comes from the pipeline file, where it may have been in double quotes.
    """
    escape = next((character for character in file if character in _ESCAPES), None)
    if quoted and escape and not os.path.lexists(file):
        raise UserError(
            f"{where}: {file!r} does not exist; in double quotes YAML reads {_ESCAPES[escape]} as one character: "
            "write the path in single quotes, or with slashes"
        )
    try:
        return wsl.here(file)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
