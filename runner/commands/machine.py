"""Commands about this machine: `doctor`, `build`."""

from __future__ import annotations

import sys

import click

from floodrunner.runner.commands import candidates
from floodrunner.runner.commands.shared import folder_of, say


@click.command()
@click.option(
    "--workdir",
    default="runs",
    metavar="FOLDER",
    shell_complete=candidates.folders,
    help="The run folder to check.",
)
def doctor(workdir: str) -> None:
    """Check this machine for problems that would stop a run."""
    from floodrunner.runner import doctor as doctoring

    trouble = False
    for finding in doctoring.examine(folder_of(workdir)):
        say([f"{finding.level:8}{finding.text}{f' -> {finding.advice}' if finding.advice else ''}"])
        trouble = trouble or finding.level == "trouble"
    sys.exit(1 if trouble else 0)


@click.command("build")
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
    from floodrunner.runner.build import image as building
    from floodrunner.runner.pipeline import registry

    wanted, notes = building.choose(cpu, gpu, backend)
    say(notes)
    for kind, arguments in wanted.items():
        if base_image:
            arguments["BASE_IMAGE"] = base_image
        building.build(kind, registry.scan().root, arguments, network, not no_cache)
    click.echo("Next: floodrunner run quickstart --engine docker")
