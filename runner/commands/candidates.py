"""What can follow what the user has typed: pipelines, run folders, steps, inputs, parameters, files.

These functions are `shell_complete` of arguments and options: they get the context with what is typed before, and the
beginning of the word. They never fail: of a pipeline with a mistake, nothing is offered.
"""

from __future__ import annotations

import functools
import os
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from floodrunner.runner.errors import UserError

if TYPE_CHECKING:
    from floodrunner.runner.pipeline.spec import PipelineSpec

Candidates = Callable[[click.Context, click.Parameter, str], list[str]]


def _beginning(offered: Callable[[click.Context, str], Iterable[str]]) -> Candidates:
    """Of what is offered, that which begins with the word; nothing if it cannot be found out."""

    @functools.wraps(offered)
    def candidates(context: click.Context, parameter: click.Parameter, word: str) -> list[str]:
        try:
            return [each for each in offered(context, word) if each.startswith(word)]
        except (UserError, OSError, ValueError):
            return []

    return candidates


@_beginning
def pipelines(context: click.Context, word: str) -> Iterator[str]:
    """Pipeline files, and the names of those that are shipped."""
    from floodrunner.runner.pipeline import shipped

    yield from shipped.NAMES
    yield from _paths(word, (".yaml", ".yml"))


@_beginning
def requests(context: click.Context, word: str) -> Iterator[str]:
    """Requests for google/ffn's inference."""
    return _paths(word, (".pbtxt",))


@_beginning
def runs(context: click.Context, word: str) -> Iterator[str]:
    """Run folders."""
    from floodrunner.runner.execution import folders

    yield from map(str, folders.all_runs())
    yield from _paths(word, folders_only=True) if word else ()


@_beginning
def inputs(context: click.Context, word: str) -> Iterator[str]:
    """`images=` and a path."""
    name, equals, path = word.partition("=")
    if equals:
        yield from (f"{name}={found}" for found in _paths(path))
    else:
        yield from (f"{each}=" for each in _spec(context).inputs)


@_beginning
def settings(context: click.Context, word: str) -> Iterator[str]:
    """`train.max_steps=`; after it the values, if there are only a few."""
    from floodrunner.runner.pipeline import registry

    steps = _spec(context).steps
    step, dot, rest = word.partition(".")
    if not dot:
        yield from (f"{each}." for each in steps)
    elif step in steps:
        for stage in registry.scan().candidates(steps[step].stage):
            for field, info in stage.params.model_fields.items():
                name = info.alias or field
                values = _values(info.annotation) if rest.startswith(f"{name}=") else [""]
                yield from (f"{step}.{name}={value}" for value in values)


@_beginning
def steps(context: click.Context, word: str) -> Iterator[str]:
    """The steps of a pipeline, or of a run."""
    from floodrunner.runner.execution import folders

    if "pipeline" in context.params:
        yield from _spec(context).steps
    else:
        yield from folders.find(context.params.get("target"))[1]["steps"]


@_beginning
def stages(context: click.Context, word: str) -> Iterator[str]:
    """The stages, and the names that several share."""
    from floodrunner.runner.pipeline import registry

    known = registry.scan()
    yield from (*known.files, *known.shared)


@_beginning
def shipped_pipelines(context: click.Context, word: str) -> Sequence[str]:
    """The names of the pipelines that are shipped."""
    from floodrunner.runner.pipeline import shipped

    return shipped.NAMES


@_beginning
def engines(context: click.Context, word: str) -> Iterator[str]:
    """The engines, and `auto`."""
    from floodrunner.runner import engines

    yield from ("auto", *engines.NAMES)


@_beginning
def folders(context: click.Context, word: str) -> Iterator[str]:
    """Folders."""
    return _paths(word, folders_only=True)


def _spec(context: click.Context) -> PipelineSpec:
    from floodrunner.runner.pipeline import shipped

    # Behind an option without its value, click leaves the argument among the others.
    written = context.params.get("pipeline") or next(iter(context.args), "")
    return shipped.load(written).spec


def _values(annotation: object) -> Iterator[str]:
    """The values of a parameter that has only a few: `true`, `false`, and the words of a Literal."""
    if annotation is bool:
        yield from ("true", "false")
    if typing.get_origin(annotation) is typing.Literal:
        yield from (str(value) for value in typing.get_args(annotation))
    for part in typing.get_args(annotation):
        if not isinstance(part, str):
            yield from _values(part)


def _paths(word: str, suffixes: tuple[str, ...] = ("",), folders_only: bool = False) -> Iterator[str]:
    """Files with one of these suffixes, and folders with a slash behind, that begin with a word. `~` stays as typed."""
    typed, _, name = word.rpartition("/")
    typed += "/" if "/" in word else ""
    with os.scandir(os.path.expanduser(typed) or ".") as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.name.startswith(".") and not name.startswith("."):
                continue
            if entry.is_dir():
                yield f"{typed}{entry.name}/"
            elif not folders_only and entry.name.endswith(suffixes):
                yield f"{typed}{entry.name}"
