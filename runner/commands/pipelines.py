"""Commands about pipelines and what they are made of: `pipelines`, `stages`, `import-ffn`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from floodrunner.runner.commands import candidates
from floodrunner.runner.commands.shared import say
from floodrunner.runner.errors import UserError


@click.command()
@click.argument("name", required=False, shell_complete=candidates.shipped_pipelines)
@click.option(
    "--copy",
    "target",
    metavar="[FILE]",
    is_flag=False,
    flag_value="",
    help="Write a copy to edit; by default my-NAME.yaml in the current folder. No file is overwritten.",
)
def pipelines(name: str | None, target: str | None) -> None:
    """List the pipelines that are shipped; with NAME, show one of them."""
    import shutil

    from floodrunner.runner import wsl
    from floodrunner.runner.pipeline import registry, shipped

    if target is None:
        # Where no terminal shows the lines, a program may read them.
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
        say(shipped.detail(name, registry.scan(), columns) if name else shipped.listing(columns))
        return
    if name is None:  # `--copy ffn`: the option takes the name for its file
        name, target = target, ""
    if not name:
        raise UserError("--copy: says no pipeline; floodrunner pipelines ffn --copy writes my-ffn.yaml")
    file = Path(wsl.here(target)) if target else Path(f"my-{name}.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise UserError(f"--copy {target}: the name of a pipeline file ends in .yaml; write --copy {file.name}.yaml")
    text, command = shipped.copy_of(name, file)
    _write_new(file, text, "--copy")
    click.echo(f"{file} is written; edit it, then: {command}")


@click.command()
@click.argument("name", required=False, shell_complete=candidates.stages)
@click.option("--markdown", is_flag=True, help="Print the whole reference, as in docs/pipeline-reference.md.")
def stages(name: str | None, markdown: bool) -> None:
    """List the stages; with NAME, show the ports and parameters of that stage."""
    from floodrunner.runner.pipeline import reference, registry

    known = registry.scan()
    if markdown:
        click.echo(reference.markdown(known), nl=False)
    else:
        details = [reference.detail(stage) for stage in known.candidates(name)] if name else [reference.listing(known)]
        click.echo("\n\n".join("\n".join(lines) for lines in details))


@click.command("import-ffn")
@click.argument("request", metavar="REQUEST.pbtxt", shell_complete=candidates.requests)
@click.option(
    "--bounding-box", metavar="TEXT", help="Box to segment, in the form that google/ffn's run_inference.py takes."
)
@click.option("--output", metavar="FILE", help="Pipeline file to write; by default REQUEST.yaml in the current folder.")
def import_ffn(request: str, bounding_box: str | None, output: str | None) -> None:
    """Turn a request for google/ffn's inference into a pipeline with the same result."""
    import shlex

    from floodrunner.runner import wsl
    from floodrunner.runner.google_ffn import pipeline as importing

    path = Path(wsl.here(request))
    read = importing.read(path, bounding_box)
    target = Path(wsl.here(output)) if output else Path(f"{importing.name_for(path.stem)}.yaml")
    # The pipeline is named after its own file: pipelines for several boxes of one request need several run folders.
    text = importing.pipeline(read, importing.name_for(target.stem), path.name).encode(errors="replace")
    _write_new(target, text, "--output")
    if read.ignored:
        click.echo(f"ignored, because the result does not depend on them: {', '.join(read.ignored)}")
    click.echo(f"{target} is written. Next: floodrunner run {shlex.quote(str(target))}")


def _write_new(file: Path, content: bytes, option: str) -> None:
    """Writes a file that is not there yet. Raises UserError otherwise, and names the option that says where."""
    try:
        with open(file, "xb") as opened:
            opened.write(content)
    except FileExistsError:
        raise UserError(f"{file}: exists already; remove it, or name another file with {option}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{file}: cannot be written: {reason}; name another file with {option}") from None
