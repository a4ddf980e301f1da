"""Builds from this source the images in which steps run. Docker's own output shows the progress and the errors."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from floodrunner.contract.gpu import JAX_FROM, needs_jax
from floodrunner.runner import __version__, machine, words
from floodrunner.runner.build import command
from floodrunner.runner.engines.docker import client as docker_api
from floodrunner.runner.engines.docker import containers, disk, images
from floodrunner.runner.errors import StepFailed, UserError
from floodrunner.runner.stop import Stop
from floodrunner.runner.workdir import records

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

NAME_LABEL = "org.floodrunner.image"
"""Label with the name under which an image was built. It identifies those images of Floodrunner that lost their tag
when a newer build replaced them."""
_VERSION_LABEL = "org.opencontainers.image.version"
_DECIDES = (images.SOURCE_LABEL, images.INGREDIENTS_LABEL, images.ENVIRONMENT_LABEL, _VERSION_LABEL)
"""Labels that together say what an image was built from: if they have not changed, the image is not built
again."""

_TRIES = 3
# Time to end that the docker command gets after SIGINT. Docker 20.10 ignores SIGINT; when it is killed, the engine ends
# the build.
_LEAVE_S = 2.0


def choose(cpu: bool, gpu: bool, backend: str | None) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Chooses the images to build: the images that the user named, or else the images that this machine needs.

    Returns:
      Kind of image -> build arguments; and lines for the user that explain the choice.

    Raises:
      UserError: if no engine answers, or a backend was chosen and no GPU image is built.
    """
    notes = []
    if not cpu and not gpu:
        cpu, gpu = True, backend is not None
        if not gpu and machine.gpus():
            gpu = docker_api.gpu_request() is not None
            if not gpu:
                notes.append(
                    f"builds only the CPU image: the engine cannot give this machine's GPU ({machine.gpus()[0]}) to "
                    "containers; floodrunner doctor says what to install, --gpu builds the GPU image anyway"
                )
    if backend and not gpu:
        raise UserError(
            f"--backend {backend}: only the GPU image has a choice of backend; add --gpu, or omit --backend"
        )
    wanted: dict[str, dict[str, str]] = {images.CPU: {}} if cpu else {}
    if gpu:
        backend, note = (backend, "") if backend else _default_backend()
        wanted[images.GPU] = {"BACKEND": backend}
        notes += [note] if note else []
    return wanted, notes


def _default_backend() -> tuple[str, str]:
    """The backend of the GPU image, and the reason if it is not TensorFlow."""
    newest = machine.capability()
    if needs_jax(newest):
        return "jax", (
            f"the GPU image is for JAX: TensorFlow fails on GPUs of compute capability {_dotted(JAX_FROM)} and above, "
            f"and this machine's GPU has {_dotted(newest)}"
        )
    present = docker_api.image(images.name(images.GPU))
    if present is not None and images.backend(present) == "jax":
        return "jax", "the GPU image is for JAX, like the present one; --backend tensorflow changes that"
    return "tensorflow", ""


def _dotted(capability: tuple[int, ...]) -> str:
    return ".".join(map(str, capability))


def build(kind: str, root: Path, args: dict[str, str], network: str, cache: bool) -> None:
    """Builds one image under its name, and removes the image that it replaces unless a container uses the old image.

    Args:
      root: the folder that holds `contract/`, `stages/`, `segmentation/` and `Dockerfile.<kind>`.
      args: the Dockerfile's build arguments.
      network: the network that the commands in the Dockerfile use, `default` or `host`.
      cache: whether layers of previous builds may be used.

    Raises:
      UserError: if the Dockerfile, the docker command, the engine, the base image or disk space is missing.
      StepFailed: if the build fails.
      Interrupted: on Ctrl-C, after the build has ended and its container is gone.
    """
    name, dockerfile = images.name(kind), root / f"Dockerfile.{kind}"
    if not dockerfile.is_file():
        raise UserError(f"{dockerfile}: there is no such file; it is part of Floodrunner: install it again")
    client, before = docker_api.connect(), docker_api.image(name)
    base = args.get("BASE_IMAGE") or _pinned_base(dockerfile)
    labels = _labels(root, kind, args, base)
    if cache and before is not None and all(before.labels.get(label) == labels[label] for label in _DECIDES):
        _tidy(client, name)
        print(f"{name}: up to date ({_facts(before)})")
        return
    _check_room(name, kind)
    with Stop().listening():
        begun = time.monotonic()
        _pull(base, dockerfile)
        built = _build(name, kind, root, args, base, network, cache)
        _tidy(client, name)
    print(f"{name}: built in {words.duration(time.monotonic() - begun)} ({_facts(built)})")


def _build(name: str, kind: str, root: Path, args: dict[str, str], base: str, network: str, cache: bool) -> Image:
    """Repeats the build until the source does not change during it, so that the image holds what its labels say."""
    builder, tag = command.builder(), f"{name}-{os.getpid()}"  # two builds at a time need two tags
    dockerfile = root / f"Dockerfile.{kind}"
    print(f"{name}: building from {words.here(dockerfile)} with {builder.name}", flush=True)
    for _ in range(_TRIES):
        labels = _labels(root, kind, args, base)
        ended = _run(
            command.arguments(builder, str(root), str(dockerfile), tag, args, labels, network, cache),
            builder.environment,
        )
        if ended:
            raise StepFailed(
                1,
                f"{name}: docker build failed with exit code {ended}; its output above shows the step and the reason",
            )
        now = _labels(root, kind, args, base)
        if all(now[label] == labels[label] for label in _DECIDES):
            return _named(tag, name)
        print(f"{name}: the source changed during the build; building again", flush=True)
    raise UserError(f"{root}: its files keep changing during the build; build again when nobody is editing them")


def _run(arguments: tuple[str, ...], environment: dict[str, str]) -> int:
    """Runs a docker command whose output goes to the terminal, and returns its exit code.

    On Ctrl-C it asks the command to end, and kills a command that does not end.
    """
    sys.stdout.flush()
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment, "DOCKER_HOST": docker_api.address()},
        start_new_session=True,  # Ctrl-C does not reach the command; only the code below ends it
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVE_S)
        if process.poll() is None:
            process.kill()
            process.wait()


def _pull(base: str, dockerfile: Path) -> None:
    """Pulls the base image unless the engine has it. Raises UserError if the pull fails."""
    if docker_api.image(base) is None and _run((command.docker(), "pull", base), {}):
        raise UserError(
            f"{words.here(dockerfile)}: the base image {base} is missing and cannot be pulled; Docker's output above "
            "says why; --base-image NAME chooses another base image"
        )


def _labels(root: Path, kind: str, args: dict[str, str], base: str) -> dict[str, str]:
    """The labels of an image: hashes of its source and of its other contents, its name, its time and its commit."""
    ingredients = images.ingredients(root, kind)
    found = {
        images.SOURCE_LABEL: _source(root),
        images.INGREDIENTS_LABEL: ingredients,
        images.ENVIRONMENT_LABEL: _environment(ingredients, args, base),
        NAME_LABEL: images.name(kind),
        _VERSION_LABEL: __version__,
        "org.opencontainers.image.created": records.now(),
    }
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # git is not installed
        if not (root / ".git").exists():  # an installed package, which may lie in somebody else's checkout
            return found
        git = ("git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
        answer = subprocess.run(git, capture_output=True, text=True, timeout=15, check=True)
        found["org.opencontainers.image.revision"] = answer.stdout.strip()
    return found


def _source(root: Path) -> str:
    """The hash of the source. Raises UserError if a source file cannot be read."""
    try:
        return images.source_hash(root)
    except OSError as error:
        raise UserError(f"{error.filename or root}: cannot be read: {error.strerror or error}") from None


def _pinned_base(dockerfile: Path) -> str:
    found = re.search(r"^(?:ARG BASE_IMAGE=|FROM )(\S+)", dockerfile.read_text(), re.MULTILINE)
    return found[1] if found else ""


def _environment(ingredients: str, args: dict[str, str], base: str) -> str:
    """A hash of everything in an image except this project's source: its ingredients, the backend, the base image.

    A base image that is pinned by its digest is the same everywhere, so its name is enough. For any other base image,
    the hash uses its id on this engine.
    """
    image = None if "@sha256:" in base else docker_api.image(base)
    others = {key: value for key, value in args.items() if key != "BASE_IMAGE"}
    parts = [ingredients, others, image.id if image else base]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_room(name: str, kind: str) -> None:
    """Raises UserError if the engine's disk cannot hold the image."""
    room = disk.room([kind])
    if room is not None and room.free < room.needed:
        raise UserError(
            f"{name} needs about {words.size(room.needed)}, and {room.folder} has {words.size(room.free)} free; "
            "free some space there (docker system prune removes what no container uses)"
        )


def _named(tag: str, name: str) -> Image:
    """Replaces the temporary tag of a new image by the image's name. Raises StepFailed if the image is gone."""
    built = docker_api.image(tag)
    if built is None:
        raise StepFailed(1, f"{name}: docker build succeeded, but the engine does not have the new image; build again")
    with docker_api.in_words():
        built.tag(*name.split(":"))
        built.client.images.remove(tag)
    return built


def _tidy(client: DockerClient, name: str) -> None:
    """Removes images without a tag that newer builds of this name have replaced, unless a container uses them.

    While a run is in progress, no image is removed, because later steps of the run may need one. The next build then
    removes the images.
    """
    from docker.errors import APIError

    with docker_api.in_words():
        for image in client.api.images(filters={"label": f"{NAME_LABEL}={name}"}):
            for tag in image.get("RepoTags") or []:
                pid = tag.removeprefix(f"{name}-")
                if pid.isdecimal() and not psutil.pid_exists(int(pid)):  # the runner was killed during that build
                    with contextlib.suppress(APIError):  # a container uses the image
                        client.images.remove(tag)
        if _has_run(client, name):
            return
        for image in client.api.images(filters={"dangling": True, "label": f"{NAME_LABEL}={name}"}):
            with contextlib.suppress(APIError):  # a container uses the image
                client.api.remove_image(image["Id"])


def _has_run(client: DockerClient, name: str) -> bool:
    """Whether a container of a run uses an image of this repository. (A container has the labels of its image.)"""
    repository = name.rpartition(":")[0]
    found = client.api.containers(all=True, filters={"label": [containers.RUN, NAME_LABEL]})
    return any(each["Labels"][NAME_LABEL].rpartition(":")[0] == repository for each in found)


def _facts(image: Image) -> str:
    return f"id {image.short_id.removeprefix('sha256:')}, {words.size(image.attrs['Size'])}"
