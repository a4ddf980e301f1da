"""Builds the images that steps run in from this source. Docker itself shows how a build proceeds and where it fails."""

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

from contract.gpu import JAX_FROM, needs_jax
from runner import __version__, machine, words
from runner.build import command
from runner.engines.docker import client as docker_api
from runner.engines.docker import containers, disk, images
from runner.errors import StepFailed, UserError
from runner.stop import Stop
from runner.workdir import records

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

NAME_LABEL = "org.floodrunner.image"
"""Name the image was built under; finds our untagged images that a newer build replaced."""
_VERSION_LABEL = "org.opencontainers.image.version"
_DECIDES = (images.SOURCE_LABEL, images.INGREDIENTS_LABEL, images.ENVIRONMENT_LABEL, _VERSION_LABEL)
"""Labels that together say what an image was built from: if they still hold, it need not be built again."""

_TRIES = 3
_LEAVE_S = 2.0  # docker 20.10 ignores SIGINT; once it is killed, the engine ends the build


def choose(cpu: bool, gpu: bool, backend: str | None) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Which images to build: those that the user named, else those that steps on this machine run in.

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
        raise UserError(f"--backend {backend}: only the GPU image has a choice of backend; add --gpu, or omit it")
    wanted: dict[str, dict[str, str]] = {images.CPU: {}} if cpu else {}
    if gpu:
        backend, note = (backend, "") if backend else _default_backend()
        wanted[images.GPU] = {"BACKEND": backend}
        notes += [note] if note else []
    return wanted, notes


def _default_backend() -> tuple[str, str]:
    """The backend of the GPU image, and the reason if it is not TensorFlow."""
    newest = max((gpu.capability for gpu in machine.nvidia().gpus), default=(0, 0))
    if needs_jax(newest):
        return "jax", (
            f"the GPU image is for JAX: TensorFlow fails on GPUs of compute capability {_dotted(JAX_FROM)} and above, "
            f"and this machine's has {_dotted(newest)}"
        )
    present = docker_api.image(images.name(images.GPU))
    if present is not None and images.backend(present) == "jax":
        return "jax", "the GPU image is for JAX, as the present one is; --backend tensorflow changes that"
    return "tensorflow", ""


def _dotted(capability: tuple[int, ...]) -> str:
    return ".".join(map(str, capability))


def build(kind: str, root: Path, args: dict[str, str], network: str, cache: bool) -> None:
    """Builds one image under its name, and removes the one that it replaces unless something uses that.

    Args:
      root: the folder that holds `contract/`, `stages/`, `segmentation/` and `Dockerfile.<kind>`.
      args: the Dockerfile's build arguments.
      network: `default` or `host`, for the build's own steps.
      cache: whether layers of former builds may be used.

    Raises:
      UserError: if the Dockerfile, the docker command, the engine, the base image or disk space is missing.
      StepFailed: if the build fails.
      Interrupted: on Ctrl-C; the build has ended and its container is gone.
    """
    name, dockerfile = images.name(kind), root / f"Dockerfile.{kind}"
    if not dockerfile.is_file():
        raise UserError(
            f"{dockerfile}: there is no such file; images are built in a checkout of Floodrunner, by its "
            ".venv/bin/floodrunner, not by an installed package"
        )
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
    """Builds until the source stays as it is during a build, so that the image holds what its label says."""
    builder, tag = command.builder(), f"{name}-{os.getpid()}"  # so that two builds at a time do not mix
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

    On Ctrl-C it asks the command to leave, and kills it if it stays.
    """
    sys.stdout.flush()
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment, "DOCKER_HOST": docker_api.address()},
        start_new_session=True,  # Ctrl-C does not reach it directly, so that there is one way to end it
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
    """Pulls the base image unless it is here. Raises UserError if that fails."""
    if docker_api.image(base) is None and _run((command.docker(), "pull", base), {}):
        raise UserError(
            f"{words.here(dockerfile)}: the base image {base} is not here and cannot be pulled, as Docker's output "
            "above says; --base-image NAME builds on another"
        )


def _labels(root: Path, kind: str, args: dict[str, str], base: str) -> dict[str, str]:
    """What an image says about itself: its source, what else is in it, and when it was made from which commit."""
    ingredients = images.ingredients(root, kind)
    found = {
        images.SOURCE_LABEL: _source(root),
        images.INGREDIENTS_LABEL: ingredients,
        images.ENVIRONMENT_LABEL: _environment(ingredients, args, base),
        NAME_LABEL: images.name(kind),
        _VERSION_LABEL: __version__,
        "org.opencontainers.image.created": records.now(),
    }
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # there is no git, or no checkout
        git = ("git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
        answer = subprocess.run(git, capture_output=True, text=True, timeout=15, check=True)
        found["org.opencontainers.image.revision"] = answer.stdout.strip()
    return found


def _source(root: Path) -> str:
    """The hash of the source. Raises UserError if a file of it cannot be read."""
    try:
        return images.source_hash(root)
    except OSError as error:
        raise UserError(f"{error.filename or root}: cannot be read: {error.strerror or error}") from None


def _pinned_base(dockerfile: Path) -> str:
    found = re.search(r"^(?:ARG BASE_IMAGE=|FROM )(\S+)", dockerfile.read_text(), re.MULTILINE)
    return found[1] if found else ""


def _environment(ingredients: str, args: dict[str, str], base: str) -> str:
    """A hash of everything in an image besides our source: its ingredients, the backend, the base image.

    A base image that is pinned by its digest is the same everywhere. For another one its id on this engine counts.
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
    """Gives the image that was built its name, in place of the tag of the build. Raises StepFailed if it is gone."""
    built = docker_api.image(tag)
    if built is None:
        raise StepFailed(1, f"{name}: docker build succeeded, but the engine has no image of it; build again")
    with docker_api.in_words():
        built.tag(*name.split(":"))
        built.client.images.remove(tag)
    return built


def _tidy(client: DockerClient, name: str) -> None:
    """Removes untagged images that newer builds under this name replaced, unless a container uses them.

    While a run is on, they stay: its later steps may start in them. The next build removes them.
    """
    from docker.errors import APIError

    with docker_api.in_words():
        for image in client.api.images(filters={"label": f"{NAME_LABEL}={name}"}):
            for tag in image.get("RepoTags") or []:
                pid = tag.removeprefix(f"{name}-")
                if pid.isdecimal() and not psutil.pid_exists(int(pid)):  # the runner was killed during that build
                    with contextlib.suppress(APIError):  # a container uses it
                        client.images.remove(tag)
        if _has_run(client, name):
            return
        for image in client.api.images(filters={"dangling": True, "label": f"{NAME_LABEL}={name}"}):
            with contextlib.suppress(APIError):  # a container uses it
                client.api.remove_image(image["Id"])


def _has_run(client: DockerClient, name: str) -> bool:
    """Whether a container of a run uses an image of this repository; a container has the labels of its image."""
    repository = name.rpartition(":")[0]
    found = client.api.containers(all=True, filters={"label": [containers.RUN, NAME_LABEL]})
    return any(each["Labels"][NAME_LABEL].rpartition(":")[0] == repository for each in found)


def _facts(image: Image) -> str:
    return f"id {image.short_id.removeprefix('sha256:')}, {words.size(image.attrs['Size'])}"
