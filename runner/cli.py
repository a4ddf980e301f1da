"""The command line. Each command imports the modules it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from contract.codes import BAD_INPUT, BUG, DONE, INTERRUPTED
from runner import __version__, search_path
from runner.errors import Interrupted, StepFailed, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from runner.execution.setting import Setting


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="floodrunner")
@click.pass_context
def cli(context: click.Context) -> None:
    """From a stack of microscope images to a segmentation, with one command."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _pipeline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and the options that `run` and `plan` share."""
    for decorate in reversed(
        (
            click.argument("pipeline", metavar="PIPELINE.yaml"),
            click.option(
                "--input", "inputs", multiple=True, metavar="NAME=PATH", help="Path of an input. Can be repeated."
            ),
            click.option(
                "--set",
                "sets",
                multiple=True,
                metavar="STEP.PARAM=VALUE",
                help="Value of a parameter. Can be repeated.",
            ),
            click.option("--workdir", metavar="FOLDER", help="Run folder; by default runs/<pipeline name>."),
            click.option(
                "--engine",
                default="auto",
                metavar="auto|docker|local",
                help="How steps run: in containers (docker) or as processes (local).",
            ),
            click.option(
                "--from",
                "start",
                metavar="STEP",
                help="Run this step and all later steps again; training continues from its saved state.",
            ),
            click.option(
                "--force",
                multiple=True,
                metavar="STEP",
                help="Run this step again from scratch; its saved state is set aside, not deleted. Can be repeated.",
            ),
        )
    ):
        command = decorate(command)
    return command


@cli.command()
@_pipeline_options
def run(pipeline: str, engine: str, **options: Any) -> None:
    """Run a pipeline. Steps for which nothing has changed are skipped."""
    import time

    from runner.execution import run as running
    from runner.terminal import summary

    started = time.monotonic()
    setting = _setting(pipeline, engine, **options)
    report = running.run(setting)
    steps = [step.id for step in setting.plan.steps]
    ran = [step for step in steps if report["steps"][step]["status"] != "skipped"]
    _print(summary.of_run(setting.plan.workdir, steps, time.monotonic() - started, ran))


@cli.command()
@_pipeline_options
def plan(pipeline: str, engine: str, **options: Any) -> None:
    """Show what a run would do with each step, and why. Starts no step and writes no file."""
    from runner import words
    from runner.execution import skip

    setting = _setting(pipeline, engine, **options)
    decisions = skip.decisions(setting.plan, setting.engine, setting.root)
    words_for = {True: "run", False: "skip", None: "may run"}
    width = max(len(step) for step in decisions)
    _print(
        [
            f"{setting.plan.name} in {words.here(setting.plan.workdir)}, {setting.engine_line}",
            *(f"  {step:{width}}  {words_for[each.runs]:7}  {each.reason}" for step, each in decisions.items()),
            *skip.unasked(setting.plan, decisions),
        ]
    )


@cli.command()
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="Print the whole reference, as in docs/pipeline-reference.md.")
def stages(name: str | None, markdown: bool) -> None:
    """List the stages; with NAME, show the ports and parameters of that stage."""
    from runner.pipeline import reference, registry

    known = registry.scan()
    if markdown:
        click.echo(reference.markdown(known), nl=False)
    else:
        details = [reference.detail(stage) for stage in known.candidates(name)] if name else [reference.listing(known)]
        click.echo("\n\n".join("\n".join(lines) for lines in details))


@cli.command()
@click.argument("target", metavar="[RUN]", required=False)
def status(target: str | None) -> None:
    """Show the state of a run. RUN is a run folder or a pipeline file; by default the newest run in runs/."""
    from runner.execution import folders
    from runner.terminal import summary
    from runner.workdir.lock import holder

    workdir, run = folders.find(target)
    alone = holder(workdir) is None
    _print(summary.status(workdir, run, [each for each in folders.orphans(workdir) if each.at_work and alone]))


@cli.command()
@click.argument("step")
@click.argument("target", metavar="[RUN]", required=False)
@click.option("--follow", "-f", is_flag=True, help="Keep printing new lines until the run ends.")
def logs(step: str, target: str | None, follow: bool) -> None:
    """Print the log of a step. RUN means the same as for `status`."""
    from runner.execution import folders
    from runner.terminal import follow as following

    workdir, run = folders.find(target)
    following.print_log(workdir, folders.step_folder(workdir, run, step), follow)


@cli.command()
@click.argument("target", metavar="RUN")
@click.option("--state", is_flag=True, help="Also remove the saved state from which training continues.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def clean(target: str, state: bool, yes: bool) -> None:
    """Remove the results of a run. RUN means the same as for `status`."""
    from runner import words
    from runner.execution import folders
    from runner.workdir.lock import lock

    workdir, run = folders.find(target)
    with lock(workdir, "floodrunner clean"):
        paths, orphans = folders.removable(workdir, state), folders.orphans(workdir)
        if not paths and not orphans:
            click.echo(f"{words.here(workdir)}: nothing to remove; --state also removes saved state")
            return
        for each in orphans:
            if each.at_work:
                _print([f"{each.step} is still running in {each.name}, left by a killed run; clean stops the step"])
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


@cli.command()
@click.option("--workdir", default="runs", metavar="FOLDER", help="The run folder to check.")
def doctor(workdir: str) -> None:
    """Check this machine for problems that would stop a run."""
    from runner import doctor as doctoring

    trouble = False
    for finding in doctoring.examine(_folder(workdir)):
        _print([f"{finding.level:8}{finding.text}{f' -> {finding.advice}' if finding.advice else ''}"])
        trouble = trouble or finding.level == "trouble"
    sys.exit(1 if trouble else 0)


@cli.command("build")
@click.option("--cpu", is_flag=True, help="Build the image for steps without a GPU.")
@click.option(
    "--gpu",
    is_flag=True,
    help="Build the image for steps with a GPU. Without --cpu and --gpu, the images that this machine needs are built.",
)
@click.option("--backend", type=click.Choice(["tensorflow", "jax"]), help="Library that the GPU image computes with.")
@click.option("--base-image", metavar="NAME", help="Base image to use in place of the pinned Debian 12.")
@click.option(
    "--network", type=click.Choice(["default", "host"]), default="default", help="Network that build steps use."
)
@click.option("--no-cache", is_flag=True, help="Build every layer again.")
def build_images(
    cpu: bool, gpu: bool, backend: str | None, base_image: str | None, network: str, no_cache: bool
) -> None:
    """Build the images in which the docker engine runs steps."""
    from runner.build import image as building
    from runner.pipeline import registry

    wanted, notes = building.choose(cpu, gpu, backend)
    _print(notes)
    for kind, arguments in wanted.items():
        if base_image:
            arguments["BASE_IMAGE"] = base_image
        building.build(kind, registry.scan().root, arguments, network, not no_cache)
    click.echo("Next: floodrunner run pipelines/quickstart.yaml --engine docker")


@cli.command("import-ffn")
@click.argument("request", metavar="REQUEST.pbtxt")
@click.option(
    "--bounding-box", metavar="TEXT", help="Box to segment, in the form that google/ffn's run_inference.py takes."
)
@click.option("--output", metavar="FILE", help="Pipeline file to write; by default REQUEST.yaml in the current folder.")
def import_ffn(request: str, bounding_box: str | None, output: str | None) -> None:
    """Turn a request for google/ffn's inference into a pipeline with the same result."""
    import shlex
    from pathlib import Path

    from runner import wsl
    from runner.google_ffn import pipeline as importing

    path = Path(wsl.here(request))
    read = importing.read(path, bounding_box)
    target = Path(wsl.here(output)) if output else Path(f"{importing.name_for(path.stem)}.yaml")
    # The pipeline is named after its own file: pipelines for several boxes of one request need several run folders.
    text = importing.pipeline(read, importing.name_for(target.stem), path.name).encode(errors="replace")
    try:
        with open(target, "xb") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{target}: exists already; remove it, or name another file with --output") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{target}: cannot be written: {reason}; name another file with --output") from None
    if read.ignored:
        click.echo(f"ignored, because the result does not depend on them: {', '.join(read.ignored)}")
    click.echo(f"{target} is written. Next: floodrunner run {shlex.quote(str(target))}")


def _setting(
    pipeline: str,
    engine: str,
    inputs: Sequence[str],
    sets: Sequence[str],
    workdir: str | None,
    start: str | None,
    force: Sequence[str],
) -> Setting:
    from pathlib import Path

    from runner import engines, wsl
    from runner.execution import folders
    from runner.execution.setting import Setting
    from runner.pipeline import plan as planning
    from runner.pipeline import registry, spec
    from runner.pipeline.options import Options
    from runner.workdir import records

    if engine not in ("auto", *engines.NAMES):
        raise UserError(f"--engine {engine}: unknown engine; choose one of auto, {', '.join(engines.NAMES)}")
    read, known = spec.load(Path(wsl.here(pipeline))), registry.scan()
    folder = _folder(workdir) if workdir else folders.default(read.spec.name)
    planned = planning.make(read, known, folder, Options(inputs, sets, force, start))
    former = records.former_engine(planned.workdir, [step.id for step in planned.steps])
    jobs = [planned.job(step) for step in planned.steps]
    name, chosen, reason = engines.choose(engine, jobs, known.root, former)
    return Setting(read, planned, name, chosen, reason, known.root, ["floodrunner", *sys.argv[1:]])


def _folder(workdir: str) -> Path:
    from runner import wsl

    try:
        return wsl.folder(workdir)
    except UserError as error:
        raise UserError(f"--workdir: {error}") from None


def _print(lines: Sequence[str]) -> None:
    from runner import words

    for line in lines:
        click.echo(words.shown(line))


def main() -> None:
    """Exit codes: 0 done, 1 a stage failed, 2 the input is wrong, 3 a bug in Floodrunner, 130 interrupted."""
    search_path.clean()  # also for a command that was installed before `floodrunner_command` was there
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(reported(_command))


def _command() -> object:
    output = sys.stdout
    try:
        return cli.main(prog_name="floodrunner", standalone_mode=False)
    except SystemExit:
        if sys.stdout is not output:  # click puts another stream there, and exits with 1, if nobody reads: `| head`
            return DONE
        raise


def reported(command: Callable[[], object]) -> int:
    """Runs a command, prints an error as one line to standard error, and returns the exit code."""
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.ClickException as error:
        return _say(error.format_message().replace("\n", " "), BAD_INPUT)
    except UserError as error:
        return _say(str(error), BAD_INPUT)
    except Interrupted:
        return _say("interrupted; run again to continue", INTERRUPTED)
    except (KeyboardInterrupt, click.Abort):  # no run was in progress, so there is nothing to continue
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `floodrunner status | head`
        from runner.terminal.display import hush

        hush(sys.stdout)
        return DONE
    except OSError as error:
        from contract.disk import disk_trouble

        text = disk_trouble(error, "the run folder")
        return _say(text, BAD_INPUT) if text else _bug(error)
    except StepFailed as error:
        return _say(str(error), error.code)
    except Exception as error:
        return _bug(error)


def _say(text: str, code: int) -> int:
    from runner import words

    print(f"floodrunner: {words.shown(text)}", file=sys.stderr)
    return code


def _bug(error: Exception) -> int:
    """Reports a bug in one line, and writes the traceback to a file."""
    import tempfile
    import traceback

    text = f"a bug in Floodrunner: {type(error).__name__}: {' '.join(str(error).split())}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="floodrunner-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
        return _say(f"{text}; please report it with {file.name}", BUG)
    except OSError:
        traceback.print_exc()
        return _say(text, BUG)


if __name__ == "__main__":
    main()
