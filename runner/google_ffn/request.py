"""Reads google/ffn's `InferenceRequest` and `BoundingBox` from the text format of protocol buffers.

Source: google/ffn, ffn/inference/inference.proto, ffn/utils/bounding_box.proto, ffn/utils/vector.proto.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

from floodrunner.runner.errors import UserError, suggest

_MESSAGES = {
    "Vector3j": "x:int64 y:int64 z:int64",
    "BoundingBox": "start:Vector3j size:Vector3j description:string object_label:uint64",
    "DecoratedVolume": "volinfo:string hdf5:string decorator_specs:string",
    "MaskChannelConfig": "channel:int32 min_value:double max_value:double values:uint64* invert:bool",
    "ImageMaskOptions": "channels:MaskChannelConfig*",
    "VolumeMaskOptions": "mask:DecoratedVolume channels:MaskChannelConfig*",
    "CoordinateExpressionOptions": "expression:string",
    "MaskConfig": "volume:VolumeMaskOptions image:ImageMaskOptions "
    "coordinate_expression:CoordinateExpressionOptions invert:bool",
    "InferenceOptions": "init_activation:double pad_value:double move_threshold:double consistency_threshold:double "
    "disco_seed_threshold:double min_boundary_dist:Vector3j segment_threshold:double min_segment_size:int32",
    "SelfPredictionOptions": "threshold:double orig_threshold:double",
    "AlignmentOptions": "type:AlignType save_raw:bool",
    "InferenceRequest": "image:DecoratedVolume image_mean:double image_stddev:double reference_histogram:string "
    "histogram_masks:MaskConfig* masks:MaskConfig* seed_masks:MaskConfig* shift_mask:DecoratedVolume "
    "shift_mask_fov:BoundingBox shift_mask_scale:int32 shift_mask_threshold:int32 movement_policy_name:string "
    "movement_policy_args:string model_name:string model_args:string model_checkpoint_path:string batch_size:int32 "
    "concurrent_requests:int32 inference_options:InferenceOptions segmentation_output_dir:string "
    "checkpoint_interval:int32 seed_policy:string seed_policy_args:string self_prediction:SelfPredictionOptions "
    "alignment_options:AlignmentOptions init_segmentation:DecoratedVolume",
}
"""Message -> its fields, `name:type`, with * if the field is repeated. The text format has names only, so any field
numbers will do. google/ffn's `float` is `double` here, so that 0.95 stays as the user wrote it."""

_ALIGN_TYPES = ("UNKNOWN_ALIGNMENT", "NO_ALIGNMENT")
_PACKAGE = "ffn"
_LONGEST = 200  # characters of protobuf's own message, which quotes the whole line


def parse(text: str, kind: str, source: str) -> Any:
    """Reads one message.

    Args:
      kind: `InferenceRequest` or `BoundingBox`.
      source: the file or option that holds the text, for messages.

    Raises:
      UserError: if the text is not such a message; the error names source and line, what was found and what to write.
    """
    message = message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{kind}"))()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise UserError(f"{source}:{error.GetLine() or 1}: {_words(error)}") from None
    return message


def given(message: Message) -> set[str]:
    """The fields that the text sets."""
    return {field.name for field, _ in message.ListFields()}


def line_of(text: str, field: str) -> int:
    """The number of the first line with a field, counted from 1; 1 if there is no such line."""
    plain = re.sub(r"#[^\n]*|\"(\\.|[^\"\\\n])*\"|'(\\.|[^'\\\n])*'", lambda found: " " * len(found[0]), text)
    found = re.search(rf"\b{field}\b", plain)
    return text[: found.start()].count("\n") + 1 if found else 1


def _words(error: text_format.ParseError) -> str:
    text = re.sub(r"^\d+:\d+ : ", "", str(error).replace(f"{_PACKAGE}.", ""))
    if "codec" in text:
        return "a backslash in quotes begins an escape; write two backslashes, or slashes"
    unknown = re.search(r'Message type "(\w+)" has no field named "(\w+)"', text)
    if unknown and unknown[1] in _MESSAGES:
        kind, name = unknown.groups()
        known = [field.partition(":")[0] for field in _MESSAGES[kind].split()]
        return f"google/ffn's {kind} has no field {name!r}; {suggest(name, known)}"
    text = " ".join(text.split())
    return (
        f"{text if len(text) <= _LONGEST else f'{text[:_LONGEST]} ...'}; write the request in google/ffn's text format"
    )


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="inference.proto", package=_PACKAGE, syntax="proto2")
    file.enum_type.add(
        name="AlignType",
        value=[descriptor_pb2.EnumValueDescriptorProto(name=name, number=n) for n, name in enumerate(_ALIGN_TYPES)],
    )
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for number, each in enumerate(fields.split(), 1):
            name, type_name = each.rstrip("*").split(":")
            label = field_type.LABEL_REPEATED if each.endswith("*") else field_type.LABEL_OPTIONAL
            field = described.field.add(name=name, number=number, label=label)
            if type_name in (*_MESSAGES, "AlignType"):
                field.type_name = f".{_PACKAGE}.{type_name}"
            else:
                field.type = field_type.Type.Value(f"TYPE_{type_name.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
