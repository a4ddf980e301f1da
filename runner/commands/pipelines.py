"""Commands about what pipelines are made of: `stages`, `import-ffn`."""

from __future__ import annotations

import click

from runner.errors import UserError


@click.command()
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


@click.command("import-ffn")
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
