"""The images that steps run in: what they are called, whether they are those of this source."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from runner.engines.docker import client
from runner.errors import UserError
from runner.fingerprint.code import PACKAGES

if TYPE_CHECKING:
    from docker.models.images import Image

CPU, GPU = "cpu", "gpu"
SOURCE_LABEL = "org.floodrunner.source"
INGREDIENTS_LABEL = "org.floodrunner.ingredients"
ENVIRONMENT_LABEL = "org.floodrunner.environment"
"""Labels that `floodrunner build` gives an image, hashes of our source in it; of the files that say what else goes into
it; and of all that else, base image and back end included."""

_NAME = re.compile(r"[a-z0-9]+([._/-]+[a-z0-9]+)*")
_COMMENT = re.compile(r"\s*#(?!\s*(syntax|escape|check)\s*=)")


def name(kind: str) -> str:
    """`floodrunner:cpu`. FLOODRUNNER_IMAGE changes the part before the colon, for two checkouts on one machine.

    Raises:
      UserError: if that cannot be an image's name.
    """
    repository = os.environ.get("FLOODRUNNER_IMAGE") or "floodrunner"
    if not _NAME.fullmatch(repository):
        raise UserError(
            f"FLOODRUNNER_IMAGE: {repository!r} cannot be an image's name; use small letters, digits and '-', no tag"
        )
    return f"{repository}:{kind}"


def source_hash(root: Path) -> str:
    """One hash of all that an image holds of our source.

    Args:
      root: the folder that holds `contract/`, `stages/` and `segmentation/`.
    """
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and not any(_left_out(part) for part in inside.parts):
                found[inside.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def ingredients(root: Path, kind: str) -> str:
    """One hash of the files that say what an image holds besides our source: its Dockerfile, and what that copies.

    Comments in the Dockerfile do not count: nobody wants to train again for a better one. Nor does what only another
    image is made of. "" where there is no Dockerfile, as in an installed package.
    """
    dockerfile = root / f"Dockerfile.{kind}"
    if not dockerfile.exists():
        return ""
    lines = [line for line in dockerfile.read_text().splitlines() if line.strip() and not _COMMENT.match(line)]
    copied = [path for line in lines if (found := re.match(r"COPY (?!--)(.+) \S+$", line)) for path in found[1].split()]
    there = [path for path in copied if path not in PACKAGES and (root / path).is_file()]
    files = {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in there}
    return hashlib.sha256(json.dumps([lines, files], sort_keys=True).encode()).hexdigest()


def _left_out(name: str) -> bool:
    """What Python, editors and systems leave beside the source; .dockerignore keeps the same out of an image."""
    return name == "__pycache__" or name.startswith(".") or name.endswith("~")


@client.once
def find(kind: str) -> Image | None:
    """The image of a kind, as the engine has it now; later calls give the same, so that a run keeps to one.

    Raises:
      UserError: if the engine does not answer.
    """
    return client.image(name(kind))


def trouble(kind: str, root: Path) -> str:
    """Why an image cannot be used, and what to do; "" if it can. Raises UserError as `find`."""
    image, build = find(kind), f"floodrunner build --{kind}"
    if image is None:
        return f"there is no image {name(kind)}; {build} makes it"
    built_from = image.labels.get(SOURCE_LABEL)
    if built_from is None or ENVIRONMENT_LABEL not in image.labels:
        return f"the image {name(kind)} does not say what it was built from; {build} makes one that does"
    if built_from != source_hash(root):
        return f"the image {name(kind)} holds another source than {root}; {build} brings it up to date, in seconds"
    wanted = ingredients(root, kind)
    if wanted and image.labels.get(INGREDIENTS_LABEL) != wanted:
        return f"the image {name(kind)} holds other packages than {root} asks for; {build} installs them"
    return ""


def get(kind: str) -> Image:
    """The image of a kind. Raises UserError if there is none."""
    image = find(kind)
    if image is None:
        raise UserError(f"there is no image {name(kind)}; floodrunner build --{kind} makes it")
    return image


def environment(image: Image) -> str:
    """A hash of what goes into an image besides our source, which is hashed by itself, stage by stage.

    By the image's own id an edit of any stage would run all steps again, trainings of weeks among them; by its layers,
    a build of the same packages on another machine, or after a clean-up, would.
    """
    return str(image.labels[ENVIRONMENT_LABEL])


def variables(image: Image) -> dict[str, str]:
    """The environment variables that an image sets."""
    pairs = (text.partition("=") for text in image.attrs["Config"].get("Env") or [])
    return {key: value for key, _, value in pairs}
