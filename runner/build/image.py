"""Builds the images that steps run in, out of this source."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from runner import __version__, machine, words
from runner.build import buildkit
from runner.build import log as build_log
from runner.build.buildkit import CannotBuild, Order, Said
from runner.build.log import BuildLog
from runner.engines.docker import client as docker_api
from runner.engines.docker import containers, images
from runner.errors import StepFailed, UserError
from runner.stop import Stop
from runner.workdir import records

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

NAME_LABEL = "org.floodrunner.image"
"""What an image was called when it was built: tells later which of the nameless ones are replaced ones of ours."""
RECIPE_LABEL = "org.floodrunner.recipe"
"""A hash of all that goes into a build."""

_NEED_BYTES = {images.CPU: 4e9, images.GPU: 13e9}  # twice the image: a step's files become a layer by being copied
_TENSORFLOW_FAILS_FROM = 12.0  # compute capability: TensorFlow 2.21 has no code for RTX 50 cards
_TRIES = 3
_STEP_CHARACTERS, _TEXT_CHARACTERS = 80, 300


def choose(cpu: bool, gpu: bool, backend: str | None) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Which images to build: those that were asked for, else those that steps will run in here.

    Returns:
      Kind -> build arguments, and lines for the user: what was chosen for what reason.

    Raises:
      UserError: if no engine answers, or a backend was chosen for an image that is not built.
    """
    notes = []
    if not cpu and not gpu:
        cpu, gpu = True, backend is not None
        if not gpu and machine.gpus():
            gpu = docker_api.gpu_request() is not None
            if not gpu:
                notes.append(
                    f"only the CPU image: the engine cannot give this machine's GPU ({machine.gpus()[0]}) to "
                    "containers; floodrunner doctor says what to install, --gpu builds its image all the same"
                )
    if backend and not gpu:
        raise UserError(f"--backend {backend}: is of the GPU image; add --gpu, or leave it out")
    wanted: dict[str, dict[str, str]] = {images.CPU: {}} if cpu else {}
    if gpu:
        backend, note = (backend, "") if backend else _default_backend()
        wanted[images.GPU] = {"BACKEND": backend}
        notes += [note] if note else []
    return wanted, notes


def _default_backend() -> tuple[str, str]:
    """The backend of the GPU image, and why where that is not plain."""
    capabilities = [float(line) for line in machine.nvidia_smi("compute_cap") if re.fullmatch(r"\d+\.\d+", line)]
    if capabilities and max(capabilities) >= _TENSORFLOW_FAILS_FROM:
        return "jax", (
            f"the GPU image is for JAX: TensorFlow fails on GPUs of compute capability {_TENSORFLOW_FAILS_FROM} "
            f"and above, and this one has {max(capabilities)}"
        )
    present = docker_api.image(images.name(images.GPU))
    if present is not None and images.variables(present).get("KERAS_BACKEND") == "jax":
        return "jax", "the GPU image is for JAX, as the present one; --backend tensorflow changes that"
    return "tensorflow", ""


def build(kind: str, root: Path, args: dict[str, str], network: str, cache: bool) -> None:
    """Builds one image under its name, and removes the one that it replaces, if nothing uses that.

    Args:
      root: the folder that holds `contract/`, `stages/`, `segmentation/` and `Dockerfile.<kind>`.
      args: the Dockerfile's build arguments.

    Raises:
      UserError: if the Dockerfile, the engine, the base image or room is missing.
      StepFailed: if the build fails.
      Interrupted: on Ctrl-C; no container of it is left then.
    """
    name, dockerfile = images.name(kind), f"Dockerfile.{kind}"
    _check(root / dockerfile)
    client, before = docker_api.connect(), docker_api.image(name)
    source, archive = _snapshot(root, dockerfile)
    # Under a name of its own until it is whole; two builds at a time do not meet.
    order = Order(f"{name}-{os.getpid()}", dockerfile, args, {}, network, cache)
    base = args.get("BASE_IMAGE") or _pinned_base(root / dockerfile)
    recipe = _recipe(order, base, archive)
    if cache and before is not None and before.labels.get(RECIPE_LABEL) == recipe:
        _tidy(client, name, [], None)
        print(f"{name}: up to date ({_facts(before)})")
        return
    if before is None:
        _check_room(name, _NEED_BYTES[kind])
    ingredients = images.ingredients(root, kind)
    labels = {
        images.SOURCE_LABEL: source,
        images.INGREDIENTS_LABEL: ingredients,
        images.ENVIRONMENT_LABEL: _environment(ingredients, args, base),
        NAME_LABEL: name,
        RECIPE_LABEL: recipe,
    }
    order = replace(order, labels={**labels, **_oci_labels(root)})
    command = buildkit.buildkit_command()
    with Stop().listening():
        way = f"BuildKit ({' '.join(command[:2])})" if command else buildkit.CLASSIC
        print(f"{name}: building from {words.here(root / dockerfile)} with {way}", flush=True)
        with build_log.make(name) as log:
            try:
                _follow(command, client, order, base, archive, log)
                built = _named(client, order.tag, name, log)
            finally:
                _untag(client, order.tag)
            _tidy(client, name, log.images, before)
    steps = f"{log.cached} of {log.steps} steps from the cache"
    print(f"{name}: built in {words.duration(log.seconds)}, {steps} ({_facts(built)})")
    if images.source_hash(root) != source:
        print(f"{name}: the source changed meanwhile; floodrunner build --{kind} brings the image up to date")


def _check(dockerfile: Path) -> None:
    if not dockerfile.is_file():
        raise UserError(
            f"{dockerfile}: there is no such file; images are built in a checkout of Floodrunner, by its "
            ".venv/bin/floodrunner, not by an installed package"
        )


def _snapshot(root: Path, dockerfile: str) -> tuple[str, bytes]:
    """The hash of the source, and the archive that holds just that source, whoever may be editing it."""
    for _ in range(_TRIES):
        source = images.source_hash(root)
        try:
            archive = buildkit.context(root, dockerfile)
        except FileNotFoundError:  # an editor at work
            continue
        except OSError as error:
            raise UserError(f"{error.filename or root}: cannot be read: {error.strerror or error}") from None
        if images.source_hash(root) == source:
            return source, archive
    raise UserError(f"{root}: its files keep changing; build again when they rest")


def _pinned_base(dockerfile: Path) -> str:
    found = re.search(r"^(?:ARG BASE_IMAGE=|FROM )(\S+)", dockerfile.read_text(), re.MULTILINE)
    return found[1] if found else ""


def _recipe(order: Order, base: str, archive: bytes) -> str:
    """A hash of all that decides what comes out: what goes in, and the base image as it is here, if it is."""
    image = docker_api.image(base) if base else None
    rest = [sorted(order.args.items()), order.dockerfile, image.id if image else base, __version__]
    return hashlib.sha256(json.dumps(rest).encode() + archive).hexdigest()


def _environment(ingredients: str, args: dict[str, str], base: str) -> str:
    """A hash of what decides what is in an image besides our source: its ingredients, the back end, the base.

    A base that is pinned by its digest is the same everywhere; of another one, what it is here.
    """
    image = None if "@sha256:" in base else docker_api.image(base)
    others = {key: value for key, value in args.items() if key != "BASE_IMAGE"}
    parts = [ingredients, others, image.id if image else base]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _oci_labels(root: Path) -> dict[str, str]:
    found = {
        "org.opencontainers.image.created": records.now(),
        "org.opencontainers.image.version": __version__,
    }
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # no git, or none of its checkouts
        command = ("git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
        answer = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True)
        found["org.opencontainers.image.revision"] = answer.stdout.strip()
    return found


def _check_room(name: str, need: float) -> None:
    """Refuses a build that the disk cannot hold; where the engine's folder cannot be seen from here, it may try."""
    folder = str(docker_api.info().get("DockerRootDir") or "")
    if docker_api.info().get("OperatingSystem") == "Docker Desktop" or not os.path.isdir(folder):
        return
    free = shutil.disk_usage(folder).free
    if free < need:
        raise UserError(
            f"{name} needs about {words.size(need)}, and {folder} has {words.size(free)} free; "
            "make room there (docker system prune removes what no container uses)"
        )


def _follow(
    command: tuple[str, ...], client: DockerClient, order: Order, base: str, archive: bytes, log: BuildLog
) -> None:
    """Builds. Raises UserError without a base image, StepFailed if it fails otherwise."""
    if command:
        saying = buildkit.buildkit(command, docker_api.address(), order, archive)
    else:
        saying = buildkit.classic(client.api, order, archive)
    failed: Said | None = None
    try:
        with contextlib.closing(saying):
            for said in saying:
                log.take(said)
    except CannotBuild as error:
        failed = Said("error", "", str(error))
    failed = log.failure or failed
    if failed is not None:
        raise _failure(failed, order.dockerfile, base, log)


def _named(client: DockerClient, tag: str, name: str, log: BuildLog) -> Image:
    """Gives what was built its name."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        built = client.images.get(tag)
        repository, _, last = name.rpartition(":")
        built.tag(repository, last)
    except (DockerException, RequestException) as error:
        text = words.short(str(error), _TEXT_CHARACTERS)
        raise StepFailed(
            1, f"{name}: the build ended without an image ({text}); the whole log is in {log.path}"
        ) from None
    return built


def _failure(failed: Said, dockerfile: str, base: str, log: BuildLog) -> UserError | StepFailed:
    """What went wrong, in one line."""
    text, step = words.short(failed.text, _TEXT_CHARACTERS), words.short(failed.step, _STEP_CHARACTERS)
    if log.disk_full:
        folder = docker_api.info().get("DockerRootDir")
        text = f"{log.name}: the engine's disk is full ({folder}); make room there and build again"
    elif re.match(r"\d+/\d+ FROM |\[internal\] load metadata for ", failed.step):
        return UserError(
            f"{dockerfile}: the base image {base} is neither here nor can it be pulled ({text}); "
            "--base-image NAME builds on another"
        )
    elif failed.code:
        last = words.short(log.last_of(failed.step), _TEXT_CHARACTERS) or "it wrote nothing"
        text = f"{dockerfile}, step {step}: failed with exit code {failed.code}: {last}"
    else:
        text = f"{dockerfile}, step {step}: {text}" if step else f"{dockerfile}: {text}"
    return StepFailed(1, f"{text}; the whole log is in {log.path}")


def _untag(client: DockerClient, tag: str) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with contextlib.suppress(DockerException, RequestException):
        client.images.remove(tag)


def _tidy(client: DockerClient, name: str, passed: list[str], before: Image | None) -> None:
    """Removes what builds have left without a name, as far as no container uses it: what they replaced, helpers.

    While a run is on, what was replaced stays: its later steps may be about to start in it. The next build removes it.

    Args:
      passed: the beginnings of the ids of images that this build went through. Those that others are made of stay:
        they are the layer cache.
    """
    from docker.errors import APIError

    with docker_api.in_words():
        for image in client.api.images(filters={"label": f"{NAME_LABEL}={name}"}):
            for tag in image.get("RepoTags") or []:
                pid = tag.removeprefix(f"{name}-")
                if pid.isdecimal() and not psutil.pid_exists(int(pid)):  # BuildKit has outlived a killed runner
                    _untag(client, tag)
        at_work = _has_run(client, name)
        for image in client.api.images(filters={"dangling": True}):
            number = image["Id"].removeprefix("sha256:")
            replaced = before is not None and image["Id"] == before.id
            replaced = replaced or (image.get("Labels") or {}).get(NAME_LABEL) == name
            if (replaced and not at_work) or (not replaced and number.startswith(tuple(passed))):
                with contextlib.suppress(APIError):
                    client.api.remove_image(image["Id"])


def _has_run(client: DockerClient, name: str) -> bool:
    """Whether a container of a run is there that uses an image of this repository; it has its image's labels."""
    repository = name.rpartition(":")[0]
    found = client.api.containers(all=True, filters={"label": [containers.RUN, NAME_LABEL]})
    return any(each["Labels"][NAME_LABEL].rpartition(":")[0] == repository for each in found)


def _facts(image: Image) -> str:
    return f"id {image.short_id.removeprefix('sha256:')}, {words.size(image.attrs['Size'])}"
