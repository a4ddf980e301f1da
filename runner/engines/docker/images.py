"""The images in which steps run: their names, and whether they hold the present source."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from floodrunner.runner.engines.docker import client
from floodrunner.runner.errors import UserError
from floodrunner.runner.fingerprint.code import PACKAGES

if TYPE_CHECKING:
    from docker.models.images import Image

CPU, GPU = "cpu", "gpu"
SOURCE_LABEL = "org.floodrunner.source"
INGREDIENTS_LABEL = "org.floodrunner.ingredients"
ENVIRONMENT_LABEL = "org.floodrunner.environment"
"""Labels that `floodrunner build` sets. Each holds a hash.

SOURCE_LABEL: of this project's source in the image. INGREDIENTS_LABEL: of the files that define everything else in the
image (Dockerfile, lock files). ENVIRONMENT_LABEL: of everything else as it was built, with base image and backend.
"""

_NAME = re.compile(r"[a-z0-9]+([._/-]+[a-z0-9]+)*")
_COMMENT = re.compile(r"\s*#(?!\s*(syntax|escape|check)\s*=)")


def name(kind: str) -> str:
    """`floodrunner:cpu`. FLOODRUNNER_IMAGE changes the part before the colon, so that two checkouts can use one engine.

    Raises:
      UserError: if the value of FLOODRUNNER_IMAGE cannot be an image's name.
    """
    repository = os.environ.get("FLOODRUNNER_IMAGE") or "floodrunner"
    if not _NAME.fullmatch(repository):
        raise UserError(
            f"FLOODRUNNER_IMAGE: {repository!r} cannot be an image's name; use lower-case letters, digits and '-', "
            "without a tag"
        )
    return f"{repository}:{kind}"


def source_hash(root: Path) -> str:
    """A hash of all source files of this project that an image holds.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
    """
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and not any(_ignored(part) for part in inside.parts):
                found[inside.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def ingredients(root: Path, kind: str) -> str:
    """A hash of the files that define an image, except this project's source: the Dockerfile and the files it copies.

    Comments in the Dockerfile do not count, so that a changed comment does not repeat a long training run. "" if there
    is no Dockerfile.
    """
    dockerfile = root / f"Dockerfile.{kind}"
    if not dockerfile.exists():
        return ""
    lines = [line for line in dockerfile.read_text().splitlines() if line.strip() and not _COMMENT.match(line)]
    copied = [path for line in lines if (found := re.match(r"COPY (?!--)(.+) \S+$", line)) for path in found[1].split()]
    there = [path for path in copied if path not in PACKAGES and (root / path).is_file()]
    files = {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in there}
    return hashlib.sha256(json.dumps([lines, files], sort_keys=True).encode()).hexdigest()


def _ignored(name: str) -> bool:
    """Whether Python, an editor or the system made a file beside the source. .dockerignore excludes the same files."""
    return name == "__pycache__" or name.startswith(".") or name.endswith("~")


@client.once
def find(kind: str) -> Image | None:
    """The engine's present image of a kind; None if there is none.

    Later calls return the same image, so that a run does not change its image.

    Raises:
      UserError: if the engine does not answer.
    """
    return client.image(name(kind))


def trouble(kind: str, root: Path) -> str:
    """Why an image cannot be used, and what to do; "" if it can. Raises UserError like `find`."""
    image, build = find(kind), f"floodrunner build --{kind}"
    if image is None:
        return f"there is no image {name(kind)}; {build} builds it"
    built_from = image.labels.get(SOURCE_LABEL)
    if built_from is None or ENVIRONMENT_LABEL not in image.labels:
        return f"the image {name(kind)} does not say what it was built from; {build} builds one that does"
    if built_from != source_hash(root):
        return f"the image {name(kind)} does not match the source in {root}; {build} brings it up to date, in seconds"
    wanted = ingredients(root, kind)
    if wanted and image.labels.get(INGREDIENTS_LABEL) != wanted:
        return f"the image {name(kind)} does not hold the packages that {root} asks for; {build} installs them"
    return ""


def get(kind: str) -> Image:
    """The image of a kind. Raises UserError if there is none."""
    image = find(kind)
    if image is None:
        raise UserError(f"there is no image {name(kind)}; floodrunner build --{kind} builds it")
    return image


def environment(image: Image) -> str:
    """A hash of everything in an image, except this project's source, which is hashed for each stage.

    The image's id is not used: it changes when any stage is edited, and then all steps would run again. A hash of the
    image's layers is not used either: two builds of the same packages have different layers.
    """
    return str(image.labels[ENVIRONMENT_LABEL])


def backend(image: Image) -> str:
    """The library that an image computes with: `tensorflow` or `jax`."""
    variables: list[str] = image.attrs["Config"].get("Env") or []
    pairs = (text.partition("=") for text in variables)
    return next((value for name, _, value in pairs if name == "KERAS_BACKEND"), "tensorflow")
