"""`run` and `plan`, and the options that they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from floodrunner.runner.commands import candidates
from floodrunner.runner.commands.shared import folder_of, say

if TYPE_CHECKING:
    from floodrunner.runner.execution.setting import Setting


def _pipeline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and the options that `run` and `plan` share."""
    for decorate in reversed(
        (
            click.argument("pipeline", metavar="PIPELINE", shell_complete=candidates.pipelines),
            click.option(
                "--input",
                "inputs",
                multiple=True,
                metavar="NAME=PATH",
                shell_complete=candidates.inputs,
                help="Path of an input. Can be repeated.",
            ),
            click.option(
                "--set",
                "sets",
                multiple=True,
                metavar="STEP.PARAM=VALUE",
                shell_complete=candidates.settings,
                help="Value of a parameter. Can be repeated.",
            ),
            click.option(
                "--workdir",
                metavar="FOLDER",
                shell_complete=candidates.folders,
                help="Run folder; by default runs/<pipeline name>, for some pipelines with the input's name.",
            ),
            click.option("--replace", is_flag=True, help="Overwrite results of other data in the run folder."),
            click.option(
                "--engine",
                default="auto",
                metavar="auto|docker|local",
                shell_complete=candidates.engines,
                help="How steps run: in containers (docker) or as processes (local).",
            ),
            click.option(
                "--from",
                "start",
                metavar="STEP",
                shell_complete=candidates.steps,
                help="Run this step and all later steps again; training continues from its saved state.",
            ),
            click.option(
                "--force",
                multiple=True,
                metavar="STEP",
                shell_complete=candidates.steps,
                help="Run this step again from scratch; its saved state is set aside, not deleted. Can be repeated.",
            ),
        )
    ):
        command = decorate(command)
    return command


@click.command()
@_pipeline_options
def run(pipeline: str, engine: str, **options: Any) -> None:
    """Run a pipeline. Steps for which nothing has changed are skipped.

    PIPELINE is a file, or the name of a pipeline that `floodrunner pipelines` lists.
    """
    import time

    from floodrunner.runner.execution import run as running
    from floodrunner.runner.terminal import summary

    started = time.monotonic()
    setting = _setting(pipeline, engine, **options)
    report = running.run(setting)
    steps = [step.id for step in setting.plan.steps]
    ran = [step for step in steps if report["steps"][step]["status"] != "skipped"]
    say(summary.of_run(setting.plan.workdir, steps, time.monotonic() - started, ran))


@click.command()
@_pipeline_options
def plan(pipeline: str, engine: str, **options: Any) -> None:
    """Show what a run would do with each step, and why; what the inputs are, and about how long it would take.

    Starts no step, and changes nothing in the run folder. All that is wrong with the inputs is listed.
    """
    from floodrunner.runner import words
    from floodrunner.runner.execution import belonging, looking, skip
    from floodrunner.runner.fingerprint.content import Cache
    from floodrunner.runner.survey import show
    from floodrunner.runner.workdir.names import HASHES_FILE

    setting = _setting(pipeline, engine, **options)
    contents = skip.Contents(setting.plan, Cache(setting.plan.workdir / HASHES_FILE))
    replaced = belonging.check(setting, contents)
    decisions = skip.decisions(setting.plan, setting.engine, setting.root, contents)
    words_for = {True: "run", False: "skip", None: "may run"}
    width = max(len(step) for step in decisions)
    say(
        [
            f"{setting.plan.name} in {words.here(setting.plan.workdir)}, {setting.engine_line}",
            *(f"  {step:{width}}  {words_for[each.runs]:7}  {each.reason}" for step, each in decisions.items()),
            *([replaced] if replaced else []),
            *skip.unasked(setting.plan, decisions),
        ]
    )
    before = looking.look(setting, contents.cache, decisions)
    say(show.remarks(before))
    before.check()
    say(list(show.needs(before, click.echo)))
    say([before.trouble] if before.trouble else [])


def _setting(
    pipeline: str,
    engine: str,
    inputs: Sequence[str],
    sets: Sequence[str],
    workdir: str | None,
    replace: bool,
    start: str | None,
    force: Sequence[str],
) -> Setting:
    from floodrunner.runner.execution.request import Request, setting
    from floodrunner.runner.pipeline.options import Options

    folder = folder_of(workdir) if workdir else None
    options = Options(inputs, sets, force, start)
    return setting(Request(pipeline, options, engine, folder, replace), ["floodrunner", *sys.argv[1:]])
