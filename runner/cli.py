"""The command line: its commands, its exit codes, and how an error is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from floodrunner.contract.codes import BAD_INPUT, BUG, DONE, INTERRUPTED
from floodrunner.runner import __version__
from floodrunner.runner.commands import completion, machine, pipelines, results, running
from floodrunner.runner.errors import Interrupted, StepFailed, UserError, UserErrors


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="floodrunner")
@click.pass_context
def cli(context: click.Context) -> None:
    """From a stack of microscope images to a segmentation, with one command."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (
    *(running.run, running.plan, results.status, results.runs, results.compare, results.logs, results.clean),
    *(pipelines.pipelines, pipelines.stages, pipelines.import_ffn, machine.doctor, machine.build_images),
    completion.completion,
):
    cli.add_command(_command)


def main() -> None:
    """Exit codes: 0 done, 1 a stage failed, 2 the input is wrong, 3 a bug in Floodrunner, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(reported(_run))


def _run() -> object:
    output = sys.stdout
    try:
        return cli.main(prog_name="floodrunner", standalone_mode=False)
    except SystemExit:
        if sys.stdout is not output:  # click puts another stream there, and exits with 1, if nobody reads: `| head`
            return DONE
        raise


def reported(command: Callable[[], object]) -> int:
    """Runs a command, prints an error to standard error, mostly as one line, and returns the exit code."""
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.ClickException as error:
        return _say(error.format_message().replace("\n", " "), BAD_INPUT)
    except UserErrors as error:
        return _say_all(error.lines, BAD_INPUT)
    except UserError as error:
        return _say(str(error), BAD_INPUT)
    except Interrupted:
        return _say("interrupted; run again to continue", INTERRUPTED)
    except (KeyboardInterrupt, click.Abort):  # no run was in progress, so there is nothing to continue
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `floodrunner status | head`
        from floodrunner.runner.terminal.display import hush

        hush(sys.stdout)
        return DONE
    except OSError as error:
        from floodrunner.contract.disk import disk_trouble

        text = disk_trouble(error, "the run folder")
        return _say(text, BAD_INPUT) if text else _bug(error)
    except StepFailed as error:
        return _say(str(error), error.code)
    except Exception as error:
        return _bug(error)


def _say(text: str, code: int) -> int:
    from floodrunner.runner import words

    print(f"floodrunner: {words.shown(text)}", file=sys.stderr)
    return code


def _say_all(lines: Sequence[str], code: int) -> int:
    from floodrunner.runner import words

    print(f"floodrunner: {len(lines)} things are wrong:", *map(words.shown, lines), sep="\n  ", file=sys.stderr)
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
