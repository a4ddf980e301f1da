"""List training positions for an FFN by partition, so that training can draw from all partitions equally often."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

from pydantic import AfterValidator, Field

from floodrunner.contract.ffn import Auto
from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    import numpy as np

    from floodrunner.segmentation.ffn.coordinates import Classes

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
    margin_xyz: Auto | tuple[Margin, Margin, Margin] = (24, 24, 24)
    """Smallest distance between a position and the border of the volume, in voxels. Must be at least as far as the
    network sees from a position: half its field of view plus one move. auto: 24, or a third of the volume along axes of
    less than 64 voxels."""
    background: bool = True
    """Also list positions in the background, as one more class, like google/ffn. They teach the network not to grow
    where there is no object."""
    tfrecord: bool = False
    """Also write `tf_record_file`, which google/ffn's train.py reads, beside the table. Meanwhile, the step's folder
    takes another 8 to 12 bytes of disk space for each of its records."""
    volume_name: Annotated[str, AfterValidator(_plain)] = "validation1"
    """Name that --label_volumes of google/ffn's train.py gives the volume; used only with `tfrecord`."""
    seed: int = Field(0, ge=0)
    """Seed of the random order in `tf_record_file`."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.ffn.coordinates import classes_of, positions
    from floodrunner.stages.storage.coordinates import write_coordinates
    from floodrunner.stages.storage.volumes import read_volume

    path, table = context.inputs["partitions"], context.outputs["table"]
    partitions, _ = read_volume(path)
    if partitions.dtype != np.uint8:
        raise InputError(
            f"{path}: holds {partitions.dtype}, but partitions are uint8; connect the output of ffn-partitions"
        )
    margin = margin_of(params, partitions.shape, path, context)
    try:
        classes = classes_of(partitions, margin, params.background)
    except ValueError as error:
        raise InputError(f"{path}: {error}; lower margin_xyz (or lom_radius_xyz of ffn-partitions)") from None
    if not classes.classes.any():
        raise InputError(
            f"{path}: all {classes.starts[-1]:,} positions that lie margin_xyz {list(margin[::-1])} inside the "
            "volume are background, and a network that sees no object learns none; lower margin_xyz, or label objects "
            "further inside"
        )
    write_coordinates(table, classes, positions(partitions, margin, classes))
    del partitions
    counts = ", ".join(f"{k}: {n:,}" for k, n in zip(classes.classes.tolist(), classes.counts.tolist(), strict=True))
    context.message(f"{classes.starts[-1]:,} positions; in each partition: {counts}")
    if params.tfrecord:
        _write_tfrecord(params, context, classes)


def margin_of(params: Params, shape: tuple[int, ...], path: str, context: Context) -> tuple[int, int, int]:
    """Returns the margin, z, y, x; says how it was fitted if the user left that to the stage."""
    from floodrunner.segmentation.ffn import fitting

    if not isinstance(params.margin_xyz, str):
        x, y, z = params.margin_xyz
        return z, y, x
    try:
        margin, because = fitting.margin(shape)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    context.message(f"margin_xyz is {fitting.numbers(margin)}, because {because}")
    return margin


def _write_tfrecord(params: Params, context: Context, classes: Classes) -> None:
    import numpy as np

    from floodrunner.segmentation.ffn.coordinates import balanced
    from floodrunner.segmentation.ffn.tfrecord import gzipped_records
    from floodrunner.stages.storage.coordinates import open_indices

    path = context.output_folder / TFRECORD
    written, total = 0, len(classes.classes) * int(classes.counts.max())

    def counted(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal written
        for piece in pieces:
            yield piece
            written += len(piece)
            context.progress(written, total, "records")

    def scratch() -> BinaryIO:
        # Here, because /tmp may be small or in memory; with a name, because some file systems that WSL and containers
        # use lose a file that has none.
        return cast(BinaryIO, tempfile.NamedTemporaryFile(dir=context.output_folder, prefix="scratch-"))

    with open_indices(context.outputs["table"]) as read, open(path, "wb") as file:
        order = balanced(classes, read, np.random.default_rng(params.seed), scratch)
        for piece in gzipped_records(counted(order), classes.shape, params.volume_name):
            file.write(piece)
    context.artifact(path, f"{total:,} training positions for google/ffn's train.py")
