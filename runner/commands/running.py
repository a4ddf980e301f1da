"""`run` and `plan`, and the options that they share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from floodrunner.runner import words
from floodrunner.runner.commands import candidates
from floodrunner.runner.commands.shared import folder_of, say
from floodrunner.runner.errors import Collected, UserError

if TYPE_CHECKING:
    from floodrunner.runner.execution.request import Request
    from floodrunner.runner.execution.setting import Setting

_SURPLUS = {"allow_extra_args": True}
"""Arguments that nobody asked for are refused by `_request`, which says where they may come from."""


def _pipeline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and the options that `run` and `plan` share."""
    for decorate in reversed(
        (
            click.argument("pipeline", metavar="PIPELINE", shell_complete=candidates.pipelines, required=False),
            click.option(
                "--input",
                "inputs",
                multiple=True,
                metavar="NAME=PATH",
                shell_complete=candidates.inputs,
                help="Path of an input. Can be repeated. A quoted pattern, such as 'images=data/*/', means all "
                "that fit it: each has a run folder of its own.",
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


@click.command(context_settings=_SURPLUS)
@_pipeline_options
@click.option(
    "--again",
    metavar="RUN",
    shell_complete=candidates.runs,
    help="Do again what a run folder or its run.json has recorded, in a new folder, and compare the figures.",
)
def run(pipeline: str | None, again: str | None, **options: Any) -> None:
    """Run a pipeline. Steps for which nothing has changed are skipped.

    PIPELINE is a file, or the name of a pipeline that `floodrunner pipelines` lists.
    """
    from floodrunner.runner.execution import again as repeating
    from floodrunner.runner.execution import many, request

    asked = _request(pipeline, again, **options)
    if again is not None:
        repetition = repeating.prepare(again, asked, _command())
        say(repetition.lines())
        ran = _run_one(repetition.setting)
        say(repetition.compared(ran))
    elif many.is_for_many(asked):
        many.run(many.stacks(asked, _command(), say), say)
    else:
        _run_one(request.setting(asked, _command()))


def _run_one(setting: Setting) -> list[str]:
    """Runs a pipeline, shows its results, and returns the steps that ran."""
    import time

    from floodrunner.runner.execution import run as running
    from floodrunner.runner.terminal import summary

    started = time.monotonic()
    report = running.run(setting)
    steps = [step.id for step in setting.plan.steps]
    ran = [step for step in steps if report["steps"][step]["status"] != "skipped"]
    say(summary.of_run(setting.plan.workdir, steps, time.monotonic() - started, ran))
    return ran


@click.command(context_settings=_SURPLUS)
@_pipeline_options
def plan(pipeline: str | None, **options: Any) -> None:
    """Show what a run would do with each step, and why; what the inputs are, and about how long it would take.

    Starts no step, and changes nothing in the run folder. All that is wrong with the inputs is listed.
    """
    from floodrunner.runner.execution import many, many_planned, request

    asked = _request(pipeline, None, **options)
    if many.is_for_many(asked):
        stacks = many.stacks(asked, _command(), say)
        say(many_planned.lines(stacks.good))
        wrong = Collected()
        for each in stacks.refused:
            with wrong.check():
                raise UserError(f"{each.name}: would not run: {each.trouble}")
        wrong.close()
    else:
        _show_plan(request.setting(asked, _command()))


def _show_plan(setting: Setting) -> None:
    from floodrunner.runner.execution import belonging, looking, skip
    from floodrunner.runner.fingerprint.content import Cache
    from floodrunner.runner.survey import show
    from floodrunner.runner.workdir.names import HASHES_FILE

    contents = skip.Contents(setting.plan, Cache(setting.plan.workdir / HASHES_FILE))
    replaced = belonging.check(setting, contents)
    decisions = skip.decisions(setting.plan, setting.engine, setting.root, contents)
    width = max(len(step) for step in decisions)
    say(
        [
            f"{setting.plan.name} in {words.here(setting.plan.workdir)}, {setting.engine_line}",
            *(f"  {step:{width}}  {each.word:7}  {each.reason}" for step, each in decisions.items()),
            *([replaced] if replaced else []),
            *skip.unasked(setting.plan, decisions),
        ]
    )
    before = looking.look(setting, contents.cache, decisions)
    say(show.remarks(before))
    before.check()
    say(list(show.what_it_needs(before, click.echo)))
    say([before.trouble] if before.trouble else [])


def _request(
    pipeline: str | None,
    again: str | None,
    engine: str,
    inputs: Sequence[str],
    sets: Sequence[str],
    workdir: str | None,
    replace: bool,
    start: str | None,
    force: Sequence[str],
) -> Request:
    """What the arguments and options ask for. Raises UserError if they do not fit together."""
    from floodrunner.runner.execution.request import Request
    from floodrunner.runner.pipeline.options import Options

    surplus = click.get_current_context().args
    if again is not None:
        given = {
            "--set": sets,
            "--from": start,
            "--force": force,
            "--replace": replace,
            "PIPELINE": pipeline or surplus,
        }
        if wrong := [name for name, value in given.items() if value]:
            raise UserError(
                f"--again does what was recorded, so it does not go with {words.listed(wrong)}; leave one out"
            )
    elif pipeline is None:
        raise click.MissingParameter(param_hint="'PIPELINE'", param_type="argument")
    if surplus:
        raise UserError(f"{words.listed(surplus, 3)}: not expected{_meant(inputs, sets)}")
    folder = folder_of(workdir) if workdir else None
    return Request(pipeline or "", Options(inputs, sets, force, start), engine, folder, replace)


def _meant(inputs: Sequence[str], sets: Sequence[str]) -> str:
    """What was probably meant by arguments too many."""
    if inputs:
        return (
            "; if the shell has made several names of a pattern, or a name has spaces, put it in quotes: "
            "--input 'images=data/*/'"
        )
    return "; write values without spaces, or in quotes: --set 'image.voxel_size_xyz=[4, 4, 30]'" if sets else ""


def _command() -> list[str]:
    """The command line, for the record of the run."""
    return ["floodrunner", *sys.argv[1:]]
