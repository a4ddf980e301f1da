"""Trains a network on arrays or files: the training steps of a shipped pipeline, run as on the command line."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import yaml

from floodrunner.contract.codes import BAD_INPUT
from floodrunner.contract.stage import InputError, StageError
from floodrunner.ffn import FFN
from floodrunner.in_process import plain
from floodrunner.models import load
from floodrunner.reading import Picture, Triple, Volume, picture_of, volume_of
from floodrunner.runner.errors import Interrupted, StepFailed, UserError
from floodrunner.runner.execution import run as running
from floodrunner.runner.execution.request import Request, setting
from floodrunner.runner.pipeline import shipped
from floodrunner.runner.pipeline.options import Options
from floodrunner.stages.storage.image_sets import read_set, write_set
from floodrunner.stages.storage.volumes import read_volume, write_volume
from floodrunner.unet import UNet

Stack = np.ndarray | Volume | str | os.PathLike[str]
Pictures = Sequence[np.ndarray | Picture] | str | os.PathLike[str]

_TRAIN = "train"
"""The step of the shipped pipelines that trains; what comes after it is left out."""


@overload
def train(
    images: Stack,
    labels: Stack,
    folder: str | os.PathLike[str],
    *,
    kind: Literal["ffn"],
    voxel_size_xyz: Triple | None = None,
    max_steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> FFN: ...


@overload
def train(
    images: Pictures,
    labels: Pictures,
    folder: str | os.PathLike[str],
    *,
    kind: Literal["unet"],
    max_steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> UNet: ...


def train(
    images: Stack | Pictures,
    labels: Stack | Pictures,
    folder: str | os.PathLike[str],
    *,
    kind: Literal["ffn", "unet"],
    voxel_size_xyz: Triple | None = None,
    max_steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> FFN | UNet:
    """Trains a network: the steps of the pipeline `ffn` or `unet` up to `train`, each in a process of its own.

    Ctrl-C (in a notebook: interrupt the kernel) stops; the same call continues. If everything is done already, it only
    returns the model. `folder/train.yaml` is the pipeline, `floodrunner status folder/run` shows the run, and arrays
    are kept in `folder/data`.

    Args:
      images, labels: for an FFN a stack (z, y, x) of 8-bit grey, and its labels, an id for each object, 0 = none:
        arrays or paths. For a U-Net a list of pictures (y, x) or (y, x, 3) and a list of labels (y, x), an id for each
        cell: all of them are trained on; or two paths, as `floodrunner run unet` takes them: then a fifth of the
        pictures is kept back, as `folder/run/pairs/test.h5`.
      folder: where to train; new, or that of an earlier call with the same data.
      kind: "ffn" or "unet".
      voxel_size_xyz: of an FFN's images, nm; by default that of the volume or of the file.
      max_steps: steps of gradient descent in total. By default a million (days) for an FFN, 8500 for a U-Net.
      settings: further parameters, by step: `{"train.fov_xyz": [17, 17, 9], "partitions.min_size": 300}`; see
        `floodrunner pipelines ffn` and docs/pipeline-reference.md.

    Raises:
      InputError: if the data or a setting is wrong, or `folder` holds other data.
      StageError: if a step failed for another reason.
      KeyboardInterrupt: if it was interrupted; the state of the training is saved.
    """
    if threading.current_thread() is not threading.main_thread():
        raise InputError("train: runs in the main thread only, where Ctrl-C arrives")
    if kind not in ("ffn", "unet"):
        raise InputError(f"kind: found {kind!r}; write 'ffn' or 'unet'")
    place, chosen = Path(folder).absolute(), dict(settings or {})
    if max_steps is not None:
        chosen[f"{_TRAIN}.max_steps"] = max_steps
    if kind == "ffn":
        inputs = _stacks(images, labels, place / "data", voxel_size_xyz)  # type: ignore[arg-type]
        if voxel_size_xyz is not None:
            chosen["image.voxel_size_xyz"] = voxel_size_xyz
    elif voxel_size_xyz is not None:
        raise InputError("voxel_size_xyz: is for stacks (kind='ffn'); pictures carry their own pixel size")
    else:
        inputs = _pictures(images, labels, place / "data")  # type: ignore[arg-type]
    _run(_pipeline(kind, inputs), place, chosen)
    return load(place / "run" / _TRAIN / "model")


def _run(pipeline: dict[str, Any], place: Path, settings: Mapping[str, Any]) -> None:
    """Writes the pipeline and runs it, as the command line does."""
    file, folder = place / "train.yaml", place / "run"
    sets = [f"{name}={json.dumps(plain(value))}" for name, value in settings.items()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True), encoding="utf-8")
        command = ["floodrunner", "run", str(file), "--workdir", str(folder), "--engine", "local"]
        command += [word for each in sets for word in ("--set", each)]
        running.run(setting(Request(str(file), Options(sets=sets), "local", folder), command))
    except Interrupted:
        raise KeyboardInterrupt("interrupted; the same call of train continues") from None
    except UserError as error:
        raise InputError(_for_python(str(error).replace(str(file), file.name))) from None
    except StepFailed as error:
        kind = InputError if error.code == BAD_INPUT else StageError
        raise kind(_for_python(str(error))) from None


def _for_python(text: str) -> str:
    """Words the advice of a message for this function: what is an option of the command line is an argument here."""
    text = re.sub(r"\btrain\.yaml:\d+: ", "", re.sub(r"--input (\w+)=", r"\1=", text))
    return re.sub(r"--set '?([\w.-]+)=([^\s;,']+)'?", r'settings={"\1": "\2"}', text)


def _pipeline(kind: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    """The shipped pipeline up to the training. A set of pictures that is made already goes right into the training."""
    found: dict[str, Any] = yaml.safe_load((shipped.FOLDER / f"{kind}.yaml").read_text(encoding="utf-8"))
    names = list(found["steps"])
    steps = {name: found["steps"][name] for name in names[: names.index(_TRAIN) + 1]}
    if "training" in inputs:
        steps = {_TRAIN: {**steps[_TRAIN], "in": {"training": "inputs.training"}}}
    return {"name": f"train-{kind}", "inputs": {name: {"path": path} for name, path in inputs.items()}, "steps": steps}


def _stacks(images: Stack, labels: Stack, data: Path, voxel_size_xyz: Triple | None) -> dict[str, str]:
    """The paths of images and labels; arrays are written into the folder `data`."""
    if not isinstance(images, str | os.PathLike):
        volume = volume_of(images, "images", voxel_size_xyz)
        if volume.voxel_size_xyz is None:
            raise InputError("voxel_size_xyz: is not known; give it, x, y, z in nm: the network is fitted to it")
        images, voxel_size_xyz = _keep_volume(data / "images.h5", "image", volume), volume.voxel_size_xyz
    if not isinstance(labels, str | os.PathLike):
        labels = _keep_volume(data / "labels.h5", "labels", volume_of(labels, "labels", voxel_size_xyz))
    return {"images": os.path.abspath(images), "labels": os.path.abspath(labels)}


def _keep_volume(file: Path, kind: str, volume: Volume) -> Path:
    def same() -> bool:
        array, place = read_volume(file)
        return place == volume.place and array.dtype == volume.array.dtype and np.array_equal(array, volume.array)

    return _keep(file, same, lambda path: write_volume(path, kind, volume.array, volume.place))


def _pictures(images: Pictures, labels: Pictures, data: Path) -> dict[str, str]:
    """The paths of pictures and masks; arrays become a set of pictures in the folder `data`."""
    if isinstance(images, str | os.PathLike) and isinstance(labels, str | os.PathLike):
        return {"images": os.path.abspath(images), "labels": os.path.abspath(labels)}
    if isinstance(images, str | os.PathLike) or isinstance(labels, str | os.PathLike):
        raise InputError("train: give images and labels both as paths, or both as lists of arrays")
    if len(images) != len(labels):
        raise InputError(f"train: there are {len(images)} images and {len(labels)} labels; give one for each")
    pairs = [_pair(k, image, cells) for k, (image, cells) in enumerate(zip(images, labels, strict=True))]

    def same() -> bool:
        kept = read_set(file)
        return len(kept) == len(pairs) and all(
            a.image.dtype == b.image.dtype and np.array_equal(a.image, b.image) and np.array_equal(a.labels, b.labels)  # type: ignore[arg-type]
            for a, b in zip(kept, pairs, strict=True)
        )

    file = data / "training.h5"
    return {"training": str(_keep(file, same, lambda path: write_set(path, pairs)))}


def _pair(number: int, image: np.ndarray | Picture, labels: np.ndarray | Picture) -> Picture:
    """One picture with its cells."""
    cells = labels.labels if isinstance(labels, Picture) else np.asarray(labels)
    picture = picture_of(image, f"images[{number}]")
    if cells is None or cells.dtype.kind not in "ui" or cells.shape != picture.image.shape[:2]:
        found = "none" if cells is None else f"{cells.dtype} {cells.shape}"
        raise InputError(
            f"labels[{number}]: found {found}; write whole numbers of the size of the picture, "
            f"{picture.image.shape[:2]}, an id for each cell, 0 = none (skimage.measure.label makes ids of a mask)"
        )
    if cells.min() < 0 or cells.max() >= 2**31:
        raise InputError(f"labels[{number}]: ids from {cells.min()} to {cells.max()}; renumber them, 0 = none")
    return Picture(f"{number:06d}", picture.image, cells.astype(np.int32), None, picture.pixel_size_xy)


def _keep(file: Path, same: Callable[[], bool], write: Callable[[Path], object]) -> Path:
    """Writes the user's arrays, once. Raises InputError if the file holds others: results would be mixed up."""
    if file.exists():
        if not same():
            raise InputError(f"{file}: holds other data than this call gives; choose another folder")
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    return file
