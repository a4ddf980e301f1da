"""Commands about the results of runs: `status`, `runs`, `compare`, `logs`, `clean`."""

from __future__ import annotations

import sys

import click

from floodrunner.runner.commands import candidates
from floodrunner.runner.commands.shared import say
from floodrunner.runner.errors import UserError


@click.command()
@click.argument("target", metavar="[RUN]", shell_complete=candidates.runs, required=False)
def status(target: str | None) -> None:
    """Show the state of a run. RUN is a run folder or a pipeline; by default the newest run in runs/."""
    from floodrunner.runner import words
    from floodrunner.runner.execution import folders, outdated
    from floodrunner.runner.terminal import summary
    from floodrunner.runner.workdir.lock import holder

    workdir, run = folders.find(target)
    alone = holder(workdir) is None
    orphans = [each for each in folders.orphans(workdir) if each.at_work and alone]
    say(summary.status(workdir, run, orphans, outdated.marks(workdir, run, alive=not alone)))
    if target is not None and (others := [str(each) for each in folders.meant(target)[::-1] if each != workdir]):
        say([f"Other runs of {target}: {words.listed(others)}"])


@click.command()
@click.argument("folder", required=False, metavar="[FOLDER]", shell_complete=candidates.folders)
def runs(folder: str | None) -> None:
    """List all run folders below FOLDER, by default runs/: what each was given, how it ended, its main figures.

    Of the inputs and parameters, those are shown in which runs of the same pipeline differ, and those set with --set.
    """
    from pathlib import Path

    from floodrunner.runner import wsl
    from floodrunner.runner.execution import folders, outdated
    from floodrunner.runner.terminal import runs as listing
    from floodrunner.runner.workdir import past

    top = Path(wsl.here(folder)) if folder else folders.RUNS
    if folder and not top.is_dir():
        raise UserError(f"{top}: {'is a file' if top.exists() else 'does not exist'}; name a folder with run folders")
    found, damaged = [], []
    for file in past.below(top):
        try:
            found.append(outdated.read(file))
        except UserError as error:
            damaged.append(str(error))
    if not found and not damaged:
        raise UserError(f"{top}/: there is no run here; name a folder with run folders")
    say([*listing.listing(found), *damaged])


@click.command()
@click.argument("a", metavar="A", shell_complete=candidates.runs)
@click.argument("b", metavar="B", shell_complete=candidates.runs)
def compare(a: str, b: str) -> None:
    """Show in what two runs differ, step by step, and how their figures moved from A to B.

    A and B mean the same as RUN for `status`, or are run.json files.
    """
    from floodrunner.runner.execution import compare as comparing

    say(comparing.report(comparing.find(a), comparing.find(b)))


@click.command()
@click.argument("step", shell_complete=candidates.steps)
@click.argument("target", metavar="[RUN]", shell_complete=candidates.runs, required=False)
@click.option("--follow", "-f", is_flag=True, help="Keep printing new lines until the run ends.")
def logs(step: str, target: str | None, follow: bool) -> None:
    """Print the log of a step. RUN means the same as for `status`."""
    from floodrunner.runner.execution import folders, outdated
    from floodrunner.runner.terminal import follow as following
    from floodrunner.runner.workdir.lock import holder

    workdir, run = folders.find(target)
    folder = folders.step_folder(workdir, run, step)
    mark = outdated.marks(workdir, run, alive=holder(workdir) is not None).get(step)
    if mark is not None and follow:  # there may be no end
        say([f"the result of step {step} is {mark}"], err=True)
    following.print_log(workdir, folder, follow)
    if mark is not None and not follow:  # what is above may be longer than the screen
        say([f"the result of step {step} is {mark}"], err=True)


@click.command()
@click.argument("target", metavar="RUN", shell_complete=candidates.runs)
@click.option("--state", is_flag=True, help="Also remove the saved state from which training continues.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def clean(target: str, state: bool, yes: bool) -> None:
    """Remove the results of a run. RUN means the same as for `status`."""
    from floodrunner.runner import words
    from floodrunner.runner.execution import folders
    from floodrunner.runner.workdir.lock import lock

    workdir, run = folders.find(target, only=True)
    with lock(workdir, "floodrunner clean"):
        paths, orphans = folders.removable(workdir, state), folders.orphans(workdir)
        if not paths and not orphans:
            click.echo(f"{words.here(workdir)}: nothing to remove; --state also removes saved state")
            return
        for each in orphans:
            if each.at_work:
                say([f"{each.step} is still running in {each.name}, left by a killed run; clean stops the step"])
        if not yes:
            if not sys.stdin.isatty():
                raise UserError(
                    f"{workdir}: cannot ask for confirmation without a terminal; add --yes to remove {len(paths)} "
                    "files and folders"
                )
            if not click.confirm(f"Remove {words.listed([words.here(path) for path in paths])}?"):
                click.echo(f"{words.here(workdir)}: nothing was removed")
                return
        for step in {*run["steps"], *(each.step for each in orphans)}:
            folders.reclaim(workdir / step)
        folders.clean(workdir, folders.removable(workdir, state))
    kept = f"; saved state is kept in {words.here(workdir)}; --state removes it" if workdir.exists() else ""
    click.echo(f"{words.here(workdir)}: removed the results of its steps{kept}")
