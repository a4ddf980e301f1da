"""List training positions for an FFN by partition, so that training can draw from all partitions equally often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import numpy as np

INPUTS = {"partitions": "partitions"}
OUTPUTS = {"table": "coordinates"}

TFRECORD = "tf_record_file"

Margin = Annotated[int, Field(ge=0)]


def _plain(name: str) -> str:
    """Checks a volume name: train.py of google/ffn splits `name:path:dataset,...`, and decodes the name as ASCII."""
    if not (name.isascii() and name.isprintable()) or not name or set(name) & set(":, "):
        raise ValueError(f"volume_name must be ASCII, without colon, comma or space; got {name!r}")
    return name


class Params(StageParams):
    margin_xyz: tuple[Margin, Margin, Margin] = (24, 24, 24)
    """Smallest distance between a position and the border of the volume, in voxels. Must be at least as far as the
    network sees from a position: half its field of view plus one move."""
    background: bool = True
    """Also list positions in the background, as one more class, like google/ffn. They teach the network not to grow
    where there is no object."""
    tfrecord: bool = False
    """Also write `tf_record_file`, which google/ffn's train.py reads, beside the table."""
    volume_name: Annotated[str, AfterValidator(_plain)] = "validation1"
    """Name that --label_volumes of google/ffn's train.py gives the volume; used only with `tfrecord`."""
    seed: int = Field(0, ge=0)
    """Seed of the random order in `tf_record_file`."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from segmentation.ffn.coordinates import balanced, coordinates
    from stages.storage.coordinates import write_coordinates
    from stages.storage.volumes import read_volume

    path = context.inputs["partitions"]
    partitions, _ = read_volume(path)
    if partitions.dtype != np.uint8:
        raise InputError(
            f"{path}: holds {partitions.dtype}, but partitions are uint8; connect the output of ffn-partitions"
        )
    try:
        table = coordinates(partitions, params.margin_xyz[::-1], params.background)
    except ValueError as error:
        raise InputError(f"{path}: {error}; lower margin_xyz (or lom_radius_xyz of ffn-partitions)") from None
    write_coordinates(context.outputs["table"], table)
    counts = ", ".join(f"{k}: {n:,}" for k, n in zip(table.classes.tolist(), table.counts.tolist(), strict=True))
    context.message(f"{len(table.indices):,} positions; in each partition: {counts}")
    if params.tfrecord:
        _write_tfrecord(params, context, table.shape, balanced(table, np.random.default_rng(params.seed)))


def _write_tfrecord(params: Params, context: Context, shape: tuple[int, int, int], indices: np.ndarray) -> None:
    from segmentation.ffn.tfrecord import gzipped_records

    path = context.output_folder / TFRECORD
    with open(path, "wb") as file:
        for piece in gzipped_records(indices, shape, params.volume_name):
            file.write(piece)
    context.artifact(path, f"{len(indices):,} training positions for google/ffn's train.py")
