"""The pipelines that are shipped with Floodrunner, which `run`, `plan` and `status` know by name."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import replace
from pathlib import Path

from floodrunner.runner import place, words, wsl
from floodrunner.runner.errors import UserError, suggest
from floodrunner.runner.pipeline import spec, yamlfile
from floodrunner.runner.pipeline.registry import Registry
from floodrunner.runner.pipeline.spec import Pipeline

NAMES = ("ffn", "quickstart", "unet", "unet-predict", "unet-quickstart")
FOLDER = place.ROOT / "pipelines"
"""Holds the files of these. Other files that somebody put there are theirs."""

_SUFFIXES = (".yaml", ".yml")


def load(written: str) -> Pipeline:
    """The pipeline that a user means, as `find` does. Messages call a shipped one by its name.

    Raises:
      UserError: like `find` and `spec.load`.
    """
    return _shipped(written) if (file := find(written)) == named(written) else spec.load(file)


def find(written: str) -> Path:
    """The pipeline file that a user means: a file, or the name of a shipped pipeline.

    What ends in .yaml or .yml, or holds a slash, is a file. Any other word is a shipped pipeline, or a file here.

    Raises:
      UserError: if there is neither; or both, because they may do different things.
    """
    if shipped := named(written):
        for name in (written, *(f"{written}{suffix}" for suffix in _SUFFIXES)):
            if _differs(Path(name), shipped):
                file = name if _is_path(name) else f"./{name}"
                raise UserError(
                    f"{written}: may mean the file {name} in this folder, or the pipeline that is shipped; write "
                    f"{file} for the file, or {shipped} for the shipped pipeline"
                )
        return shipped
    path = Path(wsl.here(written))
    if path.exists():
        return path
    if path.suffix in _SUFFIXES and path.stem in NAMES:
        raise UserError(
            f"{path}: no such file; the shipped pipeline has the name {path.stem}: floodrunner run {path.stem}, "
            f"or floodrunner pipelines {path.stem} --copy to edit a copy"
        )
    if _is_path(written):
        return path
    known = [*NAMES, *(file.name for suffix in _SUFFIXES for file in sorted(Path().glob(f"*{suffix}")))]
    raise UserError(
        f"{words.quoted(written)}: there is no shipped pipeline with this name, nor a file; {suggest(written, known)} "
        "(floodrunner pipelines lists what is shipped)"
    )


def named(written: str) -> Path | None:
    """The file of the shipped pipeline that has this name; None if none has."""
    return Path(words.here(FOLDER / f"{written}.yaml")) if written in NAMES else None


def _shipped(name: str) -> Pipeline:
    return spec.read(replace(yamlfile.load(Path(words.here(FOLDER / f"{name}.yaml"))), name=name))


def _differs(file: Path, shipped: Path) -> bool:
    """Whether there is a file with other content than a shipped pipeline."""
    try:
        return file.read_bytes() != shipped.read_bytes()
    except OSError:
        return file.is_file()  # one that cannot be read


def _is_path(written: str) -> bool:
    return "/" in written or "\\" in written or written.lower().endswith(_SUFFIXES)


def listing(columns: int) -> list[str]:
    """Each shipped pipeline: its name, what it is for, its inputs.

    Args:
      columns: the width of the terminal; longer texts go on in the next line.
    """
    lines = []
    width = max(map(len, NAMES))
    for name in NAMES:
        pipeline = _shipped(name)
        lines += _beside(f"{name:{width}}  ", first_sentence(pipeline.document.text), columns)
        inputs = pipeline.spec.inputs
        indent = max(map(len, inputs), default=0)
        for port, given in inputs.items():
            lines += _beside(f"{'':{width}}    {port:{indent}}  ", given.help, columns)
    last = "floodrunner pipelines NAME shows one, floodrunner pipelines NAME --copy writes a copy of it here to edit"
    return [*lines, "", *_beside("", last, columns)]


def _beside(start: str, text: str, columns: int) -> list[str]:
    """A text behind its start. Where it goes on in the next line, it stays below itself."""
    width, below = max(columns, len(start) + 20), " " * len(start)
    wrapped = textwrap.wrap(text, width, initial_indent=start, subsequent_indent=below, break_on_hyphens=False)
    return wrapped or [start.rstrip()]


def detail(name: str, known: Registry, columns: int) -> list[str]:
    """One pipeline: its file, its comment, its inputs, its steps, and the command that runs it.

    Args:
      name: of a shipped pipeline, even if a file here may also be meant; or a file.
      columns: as in `listing`.

    Raises:
      UserError: if there is no such pipeline.
    """
    file = named(name) or find(name)
    pipeline = spec.load(file)
    steps, inputs = pipeline.spec.steps, pipeline.spec.inputs
    width = max(map(len, (*steps, *inputs)))
    stages = {step: known.candidates(each.stage)[0] for step, each in steps.items()}
    column = max(len(stage.name) for stage in stages.values())
    comments = comment(pipeline.document.text)
    return [
        f"{pipeline.spec.name} ({file})",
        *(["", *comments] if comments else []),
        *(["", "inputs:"] if inputs else []),
        *(line for port, given in inputs.items() for line in _beside(f"  {port:{width}}  ", given.help, columns)),
        "",
        "steps:",
        *(
            line
            for step, stage in stages.items()
            for line in _beside(f"  {step:{width}}  {stage.name:{column}}  ", stage.summary, columns)
        ),
        "",
        f"run it: {command(name, pipeline)}",
    ]


def command(name: str, pipeline: Pipeline) -> str:
    """The command line that runs a pipeline, with a place for each input."""
    return " ".join(["floodrunner run", name, *(f"--input {port}=PATH" for port in pipeline.spec.inputs)])


def comment(text: str) -> list[str]:
    """The comment at the head of a pipeline, without its marks."""
    head = re.match(r"(?:#.*\n)*", text)
    return [line.removeprefix("#").removeprefix(" ") for line in (head[0] if head else "").splitlines()]


def first_sentence(text: str) -> str:
    """The first sentence of the comment at the head of a pipeline."""
    paragraph = "\n".join(comment(text)).split("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()))[0]


def copy_of(name: str, file: Path) -> tuple[bytes, str]:
    """The text of a shipped pipeline for a file of the user's, and the command that runs it from there.

    The copy is named after its file, as its run folder is, and never as a shipped pipeline: their results do not mix.

    Raises:
      UserError: if no shipped pipeline has this name.
    """
    if name not in NAMES:
        raise UserError(f"there is no shipped pipeline {words.quoted(name)}; {suggest(name, NAMES)}")
    pipeline = _shipped(name)
    own = re.sub(r"[^A-Za-z0-9_.-]+", "-", file.stem).lstrip("_.-") or name
    own = f"my-{own}" if own in NAMES else own
    text = re.sub(rf"^name: {name}$", f"name: {own}", pipeline.document.text, count=1, flags=re.MULTILINE)
    here = shlex.quote(str(file))
    text = re.sub(rf"^(#.*floodrunner run ){name}(?= |$)", lambda found: found[1] + here, text, flags=re.MULTILINE)
    return text.encode(), command(here, pipeline)
