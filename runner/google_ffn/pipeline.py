"""Turns a request for google/ffn's inference into a pipeline that gives the same result."""

from __future__ import annotations

import json
import ntpath
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from floodrunner.contract.ports import split_dataset
from floodrunner.runner.errors import UserError, suggest
from floodrunner.runner.google_ffn import request as inference_request
from floodrunner.runner.google_ffn.request import given, line_of
from floodrunner.runner.pipeline import explain, registry

_MODEL, _SEEDS, _MOVES = "ConvStack3DFFNModel", "PolicyPeaks", "FaceMaxMovementPolicy"
_IGNORED = {"segmentation_output_dir", "checkpoint_interval", "batch_size", "concurrent_requests"}
"""Fields that change how the work is done, but not its result."""

_DIFFERS = "ignoring this field would change the result"
_UNSUPPORTED = {
    "reference_histogram": "histogram matching",
    "histogram_masks": "histogram matching",
    "masks": "masks of voxels that must not be segmented",
    "seed_masks": "masks of voxels where no seed may be",
    "shift_mask": "shift masks",
    "shift_mask_fov": "shift masks",
    "shift_mask_scale": "shift masks",
    "shift_mask_threshold": "shift masks",
    "self_prediction": "self-prediction",
    "init_segmentation": "continuing another segmentation",
}
"""Field that is refused -> what the field asks for, in words. Ignoring such a field would change the result."""

_FIELDS = {
    "name": "model_checkpoint_path",
    "depth": "model_args",
    "fov_xyz": "model_args",
    "deltas_xyz": "model_args",
    "min_boundary_dist_xyz": "min_boundary_dist",
}
"""Parameter of a stage -> the field of a request that it comes from, if the names differ."""


@dataclass(frozen=True)
class Request:
    """A checked request, as inputs and parameters of a pipeline.

    Attributes:
      image: `file:dataset`, as the request gives it.
      folder: the folder of the checkpoints.
      model: parameters of `ffn-import`.
      segment: parameters of `ffn-infer`.
      ignored: fields of the request that do not change the result.
    """

    image: str
    folder: str
    model: dict[str, Any]
    segment: dict[str, Any]
    ignored: list[str]


def read(path: Path, bounding_box: str | None) -> Request:
    """Reads a request in text form.

    Args:
      bounding_box: the box to segment, in the form of `run_inference.py` (`start { x:0 ... } size { ... }`).

    Raises:
      UserError: if the request cannot be read, asks for something unsupported, or is incomplete. It says where.
    """
    text = _text(path)
    request = inference_request.parse(text, "InferenceRequest", str(path))
    fields = given(request)

    def refuse(field: str, what: str) -> UserError:
        return UserError(f"{path}:{line_of(text, field)}: {what}")

    for field in sorted(fields & set(_UNSUPPORTED), key=lambda name: line_of(text, name)):
        raise refuse(field, f"{field}: asks for {_UNSUPPORTED[field]}, which is not supported; {_DIFFERS}")
    if request.alignment_options.type == 0 and "type" in given(request.alignment_options):
        raise refuse("alignment_options", "alignment_options: only NO_ALIGNMENT is supported, like in google/ffn")
    if "volinfo" in given(request.image) or not split_dataset(request.image.hdf5)[1]:
        found = f"found {request.image.hdf5!r}; " if request.image.hdf5 else ""
        raise refuse("image", f'image: {found}write image {{ hdf5: "file.h5:dataset" }}')
    if "decorator_specs" in given(request.image):
        raise refuse("decorator_specs", f"decorator_specs: is not supported; {_DIFFERS}")
    for field, known in (("model_name", _MODEL), ("seed_policy", _SEEDS), ("movement_policy_name", _MOVES)):
        found = getattr(request, field)
        if found.rpartition(".")[2] != known and (found or field == "model_name"):
            raise refuse(field, f"{field}: found {found!r}; only {known} is supported")
    for field in ("seed_policy_args", "movement_policy_args"):
        if getattr(request, field).strip() not in ("", "{}"):
            raise refuse(field, f"{field}: is not supported; {_DIFFERS}")
    flavour = ntpath if "\\" in request.model_checkpoint_path else posixpath
    folder, checkpoint = flavour.split(request.model_checkpoint_path)
    if not checkpoint:
        raise refuse(
            "model_checkpoint_path",
            "model_checkpoint_path: does not name a file; write the path of a checkpoint, such as "
            "models/model.ckpt-7000",
        )
    for field, value in (("hdf5", request.image.hdf5), ("model_checkpoint_path", request.model_checkpoint_path)):
        if not value.isprintable():
            raise refuse(
                field,
                f"{field}: found {value!r}; a backslash in quotes begins an escape: write two backslashes, or slashes",
            )
    if not {"image_mean", "image_stddev"} <= fields:
        raise refuse("image_stddev", "image_mean and image_stddev are needed; write both")
    model = {"name": checkpoint, **_model(request.model_args, lambda what: refuse("model_args", what))}
    segment = {
        "mode": "exact",
        "reflect_border": False,
        **({} if bounding_box is None else {"box_xyz": _box(bounding_box)}),
        "image_mean": request.image_mean,
        "image_stddev": request.image_stddev,
        **_options(request.inference_options, refuse),
    }
    for stage, params in (("ffn-import", model), ("ffn-infer", segment)):
        _check(stage, params, refuse)
    return Request(request.image.hdf5, folder or ".", model, segment, sorted(fields & _IGNORED))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise UserError(f"{path}: cannot be read: {reason}; give a request for google/ffn (a .pbtxt file)")


def _check(stage: str, params: dict[str, Any], refuse: Any) -> None:
    """Checks parameters like the stage, so that only a valid pipeline is written."""
    model = registry.scan().get(stage).params
    try:
        model.parse(params)
    except ValidationError as error:
        path, what = explain.problem(error, params, model, {})
        named = str(path[0]) if path else what.split()[0]
        field = _FIELDS.get(named, named)
        raise refuse(field, f"{field}: {what}" if path else what) from None


def _model(text: str, refuse: Any) -> dict[str, Any]:
    try:
        arguments = json.loads(text or "{}")
        if not isinstance(arguments, dict):
            raise ValueError("it is not a JSON object")
    except (ValueError, RecursionError) as error:
        reason = "its brackets are nested too deeply" if isinstance(error, RecursionError) else error
        raise refuse(f"model_args: is not JSON ({reason}); write depth, fov_size and deltas like google/ffn") from None
    known = {"depth": "depth", "fov_size": "fov_xyz", "deltas": "deltas_xyz"}
    for name in arguments.keys() - known.keys() - {"batch_size"}:
        raise refuse(f"model_args: {name!r} is not supported; {suggest(name, known)}")
    for name in ("fov_size", "deltas"):
        if name not in arguments:
            raise refuse(
                f"model_args: {name} is missing, and the checkpoint does not contain it; write it as a list [x, y, z]"
            )
    return {"depth": 9} | {known[name]: arguments[name] for name in known if name in arguments}


def _options(options: Any, refuse: Any) -> dict[str, Any]:
    fields = given(options)
    for name in ("init_activation", "pad_value", "move_threshold", "segment_threshold"):
        if name not in fields:
            raise refuse(
                "inference_options",
                f"inference_options: {name} is missing, and google/ffn would use 0; write its value",
            )
    if options.consistency_threshold > 0:
        raise refuse("consistency_threshold", "consistency_threshold: is not supported; remove it")
    distance = options.min_boundary_dist
    return {
        "init_activation": options.init_activation,
        "pad_value": options.pad_value,
        "move_threshold": options.move_threshold,
        "segment_threshold": options.segment_threshold,
        "min_boundary_dist_xyz": [distance.x, distance.y, distance.z],
        "min_segment_size": max(options.min_segment_size, 1),  # with 0, google/ffn gives ids to objects without voxels
        "disco_seed_threshold": options.disco_seed_threshold,
    }


def _box(text: str) -> dict[str, list[int]]:
    box = inference_request.parse(text, "BoundingBox", "--bounding-box")
    start, size = [box.start.x, box.start.y, box.start.z], [box.size.x, box.size.y, box.size.z]
    if min(start) < 0 or min(size) < 1:
        raise UserError(
            f"--bounding-box: found start {start}, size {size}; write "
            f"'start {{ x:0 y:0 z:0 }} size {{ x:512 y:512 z:70 }}'"
        )
    return {"start": start, "size": size}


def name_for(stem: str) -> str:
    """Makes a valid name of a pipeline from the name of a file."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).lstrip("_.-") or "inference"


def pipeline(request: Request, name: str, source: str) -> str:
    """A pipeline as YAML, with the paths of the request.

    Args:
      source: name of the request's file, for a comment in the pipeline.
    """
    notes = {
        "mode": "like google/ffn, object for object",
        "reflect_border": "like google/ffn; true also finds objects at the border",
    }
    checkpoint = f"the folder that holds {request.model['name']}.index"
    return f"""\
# Made from the request {_quoted(source)} for google/ffn; it gives the same result.
name: {name}
inputs:
  image: {{path: {_quoted(request.image)}, help: "the sections as an HDF5 dataset, z, y, x"}}
  checkpoint: {{path: {_quoted(request.folder)}, help: {_quoted(checkpoint)}}}
steps:
  model:
    stage: ffn-import
    in: {{checkpoint: inputs.checkpoint}}
    params:
{_lines(request.model, {})}
  segment:
    stage: ffn-infer
    gpu: true
    in: {{image: inputs.image, model: model.model}}
    params:
{_lines(request.segment, notes)}
  png:
    stage: export-stack
    in: {{volume: segment.segmentation, image: inputs.image}}
"""


def _lines(params: dict[str, Any], notes: dict[str, str]) -> str:
    lines = []
    for name, value in params.items():
        note = f" # {notes[name]}" if name in notes else ""
        plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.-]*", value)
        lines.append(f"      {name}: {value if plain else _quoted(value)}{note}")
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # YAML does not read JSON's surrogate pairs
